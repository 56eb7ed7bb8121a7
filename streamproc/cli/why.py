"""``streamproc why``."""

import json
import time
from typing import Annotated

import typer

from streamproc.errors import ExitCode
from streamproc.settings import load_settings


def why(
    what: Annotated[str, typer.Argument(metavar="PLACE|EVENT", help="TOPIC/PARTITION/OFFSET, or an event id.")],
    *,
    around: Annotated[
        str | None,
        typer.Option(help="With an event id: about when it was announced, 15m, 2h, 7d ago or a date."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each place.")] = False,
) -> None:
    """Tell one record's life: each try, its transaction, how long each step took, and where its outputs stand.

    The place is that of the input, of a lane, of a dead letter or of a result. An event id is looked for within 15
    minutes of --around, nearest first; an event that was sent twice has two lives. Nothing is read that is far from it
    in time, so it is quick on long topics too. Exit code 1 when no end was found; what was looked for in vain is said,
    with what that means.

    Example: `streamproc why audio.recordings/3/1742`, or `streamproc why 7f0c5a52-9a3e-4c1b-b4b0-6f3e --around 2h`
    """
    from streamproc.cli.rows import PipeConsole, until_unread
    from streamproc.cli.why_show import life_json, show_life
    from streamproc.errors import UsageError
    from streamproc.operate.place import Place, parse_place
    from streamproc.operate.since import parse_since
    from streamproc.operate.why.event import find_event
    from streamproc.operate.why.trace import open_tracer

    settings = load_settings()
    if "/" in what and (around is None or what.rsplit("/", 2)[0] in settings.topics.of_records):
        places: tuple[Place, ...] = (parse_place(what),)
    elif around is not None:
        places = find_event(settings, what, parse_since(around, time.time_ns() // 1_000_000))
    else:
        raise UsageError("an event id alone would mean reading everything: say about when with --around, as in 2h")
    ended = True
    with open_tracer(settings) as tracer, until_unread():
        for place in places:
            life = tracer.trace(place)
            ended = ended and life.ended
            if as_json:
                typer.echo(json.dumps(life_json(life), ensure_ascii=False))
            else:
                show_life(life, PipeConsole(soft_wrap=True))
    if not ended:
        raise typer.Exit(ExitCode.OTHER)
