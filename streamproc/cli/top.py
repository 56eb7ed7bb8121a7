"""``streamproc top``."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer

from streamproc.settings import load_settings


def top(
    *,
    worker: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="A worker's address; may be given again. Default: http.host."),
    ] = None,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show one view and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each look.")] = False,
) -> None:
    """Watch workers work: records and audio a second, lag, stages, tiers, device, lanes, dead letters.

    Asks their metrics, of all workers at the same time, and changes nothing. Ctrl-C ends it. A worker that does not
    answer within 5 s is missing. `--once` looks twice, `--every` apart, since rates are between two looks; exit code 3
    when a worker does not answer both times.

    Example: `streamproc top --worker 10.0.0.7:9464 --worker 10.0.0.8:9464`
    """
    from rich.console import Console
    from rich.live import Live

    from streamproc.cli.top_show import shown
    from streamproc.errors import ExitCode
    from streamproc.operate.endpoint import checked, local_worker
    from streamproc.operate.top.look import looks

    settings = load_settings()
    workers = list(dict.fromkeys(map(checked, worker))) if worker else [local_worker(settings.http)]
    ours = settings.kafka.group
    views = looks(workers, time.monotonic, lambda: time.sleep(every))
    if once:
        view = next(views)
        if as_json:
            typer.echo(json.dumps(asdict(view)))
        else:
            Console().print(shown(view, ours))
        if view.missing:
            raise typer.Exit(ExitCode.DEPENDENCY_DOWN)
    elif as_json:
        for view in views:
            typer.echo(json.dumps(asdict(view)))
    else:
        with Live("looking ...", console=Console(), screen=True, auto_refresh=False) as live:
            for view in views:
                live.update(shown(view, ours), refresh=True)
