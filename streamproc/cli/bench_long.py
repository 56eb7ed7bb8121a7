"""``streamproc bench long``."""

import json
from typing import Annotated

import typer

from streamproc.cli.bench import Json
from streamproc.settings import load_settings


def long(
    *,
    model: Annotated[
        str,
        typer.Option(
            help="plus_large or plus_base with random weights, a model by name, or a directory in FunASR's layout."
        ),
    ] = "demo",
    longest: Annotated[float, typer.Option(min=60, max=14_400, help="Seconds of the longest.")] = 14_400,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Recordings of each length.")] = 1,
    as_json: Json = False,
) -> None:
    """Run recordings of 10 s, 1 min, 10 min, 1 h and 4 h through the engine: time for a second, and memory.

    Each in a new process, cut into segments as a decoder does it, each segment computed as the device process does it,
    all in one value. The sound is made in code, most of it speech. Threads: setting model.threads, else all cores.

    Example: `streamproc bench long --longest 600`
    """
    from rich.console import Console

    from streamproc.bench.long import run_long
    from streamproc.bench.long_show import long_json, show_long
    from streamproc.operate.progress import LiveProgress

    with LiveProgress() as progress:
        report = run_long(model, load_settings().model.threads, longest, rounds, progress.count)
    if as_json:
        typer.echo(json.dumps(long_json(report)))
    else:
        show_long(report, Console())
