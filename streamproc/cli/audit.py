"""``streamproc audit``."""

import json
import time
from typing import Annotated

import typer

from streamproc.errors import ExitCode, UsageError
from streamproc.settings import load_settings


def audit(
    *,
    topic: Annotated[str | None, typer.Option(help="Input topic. Default: topics.recordings.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", help="Begin at an offset, 15m, 2h, 7d ago or a date. Default: the first record kept."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", help="End before an offset or a time. Default: what the group has committed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Prove from the logs alone that every record of a window reached exactly one end.

    Reads the input, the ledger, the lanes, the dead letters and the results, committed records only, and compares:
    each record with a committed offset has one outcome, retries are followed to their end, and the outputs of each
    transaction give the digest of its ledger row. What is wrong is named by its offset; what cannot be seen (retention
    has passed, not committed yet) is named too; ledger rows that cannot be compared are counted. Commits nothing and
    disturbs nobody. Exit code 0 only if each record of the window is proved, 1 if not.

    Example: `streamproc audit --from 2h`, or `streamproc audit --partition 3 --from 1000 --to 2000 --json`
    """
    from streamproc.cli.audit_table import audit_json, show_audit
    from streamproc.cli.rows import PipeConsole, until_unread
    from streamproc.operate.audit.read import audit as run_audit
    from streamproc.operate.audit.window import Selection, parse_bound
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    if topic is not None:
        ours = settings.topics
        if topic in {*ours.of_records, ours.ledger, ours.segments, ours.replays} - {ours.recordings}:
            raise UsageError(f"--topic {topic}: that is no input. Name the topic that recordings are announced on")
        topics = ours.model_copy(update={"recordings": topic})
        settings = settings.model_copy(update={"topics": topics})
    now_ms = time.time_ns() // 1_000_000
    bounds = [None if text is None else parse_bound(text, now_ms) for text in (first, end)]
    with LiveProgress() as progress:
        report = run_audit(settings, Selection(partition, *bounds), progress.count)
    with until_unread():
        if as_json:
            typer.echo(json.dumps(audit_json(report)))
        else:
            show_audit(report, PipeConsole())
    if not report.proved:
        raise typer.Exit(ExitCode.OTHER)
