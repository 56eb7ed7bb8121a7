"""``streamproc bench fresh``, ``device``, ``latency``, ``memory``, ``scale``: workers whose device is simulated."""

import json
from typing import Annotated, Literal

import typer

from streamproc.cli.bench import Json
from streamproc.settings import load_settings

Format = Literal["wav", "mp3", "opus"]


def fresh(
    *,
    events: Annotated[int, typer.Option(min=400, max=20_000, help="Events of each format, each heard once.")] = 1_000,
    as_json: Json = False,
) -> None:
    """Run workers on new recordings of 5 s in WAV, MP3 and Opus, then the same through the parts alone.

    Their device answers at once: what is left is Kafka, Avro, Redis, the store, the hash and the decoders. Starts the
    servers that do not run and stops what it started. The recordings stay in the bucket, under bench/new/.

    Example: `streamproc bench fresh --events 500`
    """
    from rich.console import Console

    from streamproc.bench.fresh import run_fresh
    from streamproc.bench.fresh_show import fresh_json, show_fresh
    from streamproc.operate.progress import LiveProgress

    with LiveProgress() as progress:
        report = run_fresh(load_settings(), events, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(fresh_json(report)))
    else:
        show_fresh(report, Console())


def device(
    *,
    speed: Annotated[
        list[float] | None, typer.Option(min=1, help="Audio-seconds per second; give it again for more than one.")
    ] = None,
    events: Annotated[int, typer.Option(min=20, max=20_000, help="Events of each speed, each heard once.")] = 1_000,
    micro_batch: Annotated[int, typer.Option(min=1, max=512, help="Records of a micro-batch at most.")] = 64,
    as_json: Json = False,
) -> None:
    """Tell how busy a worker keeps a device of known speed, with a timeline of its micro-batches, stage by stage.

    The device is simulated: it computes nothing and takes its time. Recordings are WAV of 5 s. Starts the servers that
    do not run and stops what it started. Without --speed: 100, 1,000 and 10,000.

    Example: `streamproc bench device --speed 100 --events 200`
    """
    from rich.console import Console

    from streamproc.bench.busy import run_busy
    from streamproc.bench.busy_show import busy_json, show_busy
    from streamproc.operate.progress import LiveProgress

    speeds = speed or [100.0, 1_000.0, 10_000.0]
    with LiveProgress() as progress:
        report = run_busy(load_settings(), speeds, events, micro_batch, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(busy_json(report)))
    else:
        show_busy(report, Console())


def latency(
    *,
    events: Annotated[int, typer.Option(min=20, max=20_000, help="New events; then the same again.")] = 300,
    rate: Annotated[float, typer.Option(min=0.1, max=1_000, help="Events per s.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Tell how long a result takes when there is little to do, and where: from the event to the committed row.

    The device is simulated and answers at once. Starts the servers that do not run and stops what it started.

    Example: `streamproc bench latency --events 50`
    """
    from rich.console import Console

    from streamproc.bench.quiet import run_quiet
    from streamproc.bench.quiet_show import quiet_json, show_quiet
    from streamproc.operate.progress import LiveProgress

    with LiveProgress() as progress:
        report = run_quiet(load_settings(), events, rate, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(quiet_json(report)))
    else:
        show_quiet(report, Console())


def memory(
    *,
    events: Annotated[int, typer.Option(min=100, max=100_000, help="Recordings, each heard once.")] = 10_000,
    long: Annotated[int, typer.Option(min=0, max=50, help="Long ones among them.")] = 10,
    hours: Annotated[float, typer.Option(min=0.01, max=4, help="How long the long ones are.")] = 1.0,
    slow: Annotated[float, typer.Option(min=50, max=10_000, help="Speed of the slow device, audio-s per s.")] = 200.0,
    as_json: Json = False,
) -> None:
    """Tell the most memory that a worker takes, beside what its settings allow, with long recordings among short ones.

    The device is simulated: once it answers at once, once it is slow, so that all gathers behind it that may be in
    flight; that takes as long as it takes. Starts the servers that do not run and stops what it started. The recordings
    stay in the bucket, under bench/; an hour takes 115 MB.

    Example: `streamproc bench memory --events 1000 --long 2`
    """
    from rich.console import Console

    from streamproc.bench.bounded import run_bounded
    from streamproc.bench.bounded_show import bounded_json, show_bounded
    from streamproc.operate.progress import LiveProgress

    if long > events // 2:
        raise typer.BadParameter(f"{long} of {events} recordings are no few among many", param_hint="--long")
    with LiveProgress() as progress:
        report = run_bounded(load_settings(), events, long, hours, slow, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(bounded_json(report)))
    else:
        show_bounded(report, Console())


def scale(
    *,
    workers: Annotated[
        list[int] | None, typer.Option(min=1, max=16, help="Workers of one group; give it again for more than one.")
    ] = None,
    kind: Annotated[Format, typer.Option("--format", help="Of the recordings.")] = "wav",
    events: Annotated[int, typer.Option(min=400, max=20_000, help="Events of each, each heard once.")] = 2_000,
    as_json: Json = False,
) -> None:
    """Run new recordings of 5 s through one worker, then through several, and tell what is busy meanwhile.

    Their device answers at once. Starts the servers that do not run and stops what it started. The recordings stay in
    the bucket, under bench/new/. Without --workers: 1 and 2.

    Example: `streamproc bench scale --workers 1 --workers 2 --events 1000`
    """
    from rich.console import Console

    from streamproc.bench.scale import run_scale
    from streamproc.bench.scale_show import scale_json, show_scale
    from streamproc.operate.progress import LiveProgress

    with LiveProgress() as progress:
        report = run_scale(load_settings(), workers or [1, 2], kind, events, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(scale_json(report)))
    else:
        show_scale(report, Console())
