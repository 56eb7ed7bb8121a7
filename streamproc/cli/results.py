"""``streamproc results``."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Annotated

import typer

from streamproc.settings import load_settings

POLL_S = 1.0


def results(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many rows.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Begin at 15m, 2h, 7d ago or a date. Default: all that is kept; --follow: now.")
    ] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="What ended without a result, and what to do about it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with every column.")] = False,
) -> None:
    """Read results as any downstream reader sees them: committed rows only.

    Rows of one recording's key come in order; an event that its producer sent twice has two rows with one result_id.
    Reading commits nothing and disturbs nobody.

    Example: `streamproc results --follow --json | jq .label`
    """
    from rich.console import Console

    from streamproc.operate.dead_letter import DeadLetter
    from streamproc.operate.lines import dead_letter_line, header, result_line
    from streamproc.operate.outputs import Output, Outputs, open_outputs
    from streamproc.operate.since import parse_since
    from streamproc.records.result import EmotionResult

    settings = load_settings()
    since_ms = None if follow else 0
    if since is not None:
        since_ms = parse_since(since, time.time_ns() // 1_000_000)
    console = Console(soft_wrap=True)

    def read(outputs: Outputs) -> Iterator[Output]:
        yield from outputs.rest()
        while follow:
            yield from outputs.poll(POLL_S)

    def show(row: Output) -> None:
        if as_json:
            typer.echo(json.dumps(asdict(row), ensure_ascii=False))
        elif isinstance(row, EmotionResult):
            console.print(result_line(row))
        elif isinstance(row, DeadLetter):
            console.print(dead_letter_line(row))

    shown = 0
    topic = settings.topics.dead_letters if dead_letters else settings.topics.results
    try:
        with open_outputs(settings, [topic], since_ms) as outputs:
            if not as_json:
                console.print(header(dead_letters=dead_letters))
            for row in islice(read(outputs), count):
                show(row)
                shown += 1
    except KeyboardInterrupt:
        if not follow:
            raise
    if not shown:
        typer.echo(f"Nothing in {topic}. `streamproc publish FILE` announces a recording, a worker answers.", err=True)
