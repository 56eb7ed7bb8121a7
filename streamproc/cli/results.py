"""``streamproc results``."""

import time
from itertools import chain, islice
from typing import Annotated

import typer

from streamproc.cli.speak import say
from streamproc.settings import load_settings


def results(
    *,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Go on with what comes, until Ctrl-C. Begins at now unless --since is given."
        ),
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many rows.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Begin at 15m, 2h, 7d ago or a date. Default: all that is kept; with --follow: now."),
    ] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="What ended without a result, and what to do about it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with every column.")] = False,
) -> None:
    """Read results as any downstream reader sees them: committed rows only.

    Rows of one recording's key come in order; an event that its producer sent twice has two rows with one result_id.
    Reading commits nothing and disturbs nobody. What another program wrote there is passed over, which is said on
    stderr. `event` is the start of the id that `publish` printed,
    `recording` the name of the file that was published, or the key of the object,
    `tier` where the numbers came from (computed just then, or known from equal bytes: memory, redis), `ms` the time
    in the worker.

    Example: `streamproc results --follow --json | jq .label`
    """
    from streamproc.cli.rows import show_rows
    from streamproc.operate.foreign import Foreign
    from streamproc.operate.outputs import open_outputs
    from streamproc.operate.since import parse_since

    settings = load_settings()
    since_ms = None if follow else 0
    if since is not None:
        since_ms = parse_since(since, time.time_ns() // 1_000_000)
    foreign = Foreign()
    topic = settings.topics.dead_letters if dead_letters else settings.topics.results
    try:
        with open_outputs(settings, [topic], since_ms, foreign.note) as outputs:
            rows = chain(outputs.rest(), outputs.forever()) if follow else outputs.rest()
            shown = show_rows(islice(rows, count), dead_letters=dead_letters, as_json=as_json)
    except KeyboardInterrupt:
        if not follow:
            raise
        shown = 1  # who followed knows what came
    if foreign.count:
        typer.echo(f"warning: {foreign.line}", err=True)
    if not shown:
        span = "" if since is None else f" for --since {since}"
        if dead_letters:
            typer.echo(f"No dead letter in {topic}{span}.", err=True)
        elif span:
            typer.echo(f"No result in {topic}{span}. Without --since all that is kept is shown.", err=True)
        else:
            say(f"Nothing in {topic}. `streamproc publish FILE` announces a recording, a worker answers.", err=True)
