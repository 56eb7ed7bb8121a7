"""``streamproc bench cached``."""

import json
from typing import Annotated

import typer

from streamproc.cli.bench import Json
from streamproc.settings import load_settings


def cached(
    *,
    zipf: Annotated[float, typer.Option(min=0, max=4, help="Zipf's exponent; 0: all are heard equally often.")] = 1.0,
    recordings: Annotated[int, typer.Option(min=2, max=200_000, help="Recordings that there are.")] = 20_000,
    events: Annotated[int, typer.Option(min=100, max=1_000_000, help="Events of each set of tiers.")] = 50_000,
    memory: Annotated[int, typer.Option(min=1, help="Analyses that the memory tier holds.")] = 1_000,
    rate: Annotated[float, typer.Option(min=1, help="Events per s. The accelerator's speed follows from it.")] = 150.0,
    as_json: Json = False,
) -> None:
    """Tell what each tier is worth: the same events without a cache, with memory, with Redis too, with all three.

    Real servers and a real worker; the accelerator is simulated, at a speed that would keep it busy for 80 % of the
    time if it computed every event. The archive knows what as many events of the day before announced, Redis and memory
    begin empty. Starts the servers that do not run and stops what it started. The recordings stay in the bucket, under
    bench/, what is archived under analyses/.

    Example: `streamproc bench cached --recordings 400 --events 1000 --memory 20 --rate 100`
    """
    from rich.console import Console

    from streamproc.bench.cached import Load, run_cached
    from streamproc.bench.cached_show import cached_json, show_cached
    from streamproc.operate.progress import LiveProgress

    load = Load(recordings, events, zipf, memory, rate)
    with LiveProgress() as progress:
        report = run_cached(load_settings(), load, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(cached_json(report)))
    else:
        show_cached(report, Console())
