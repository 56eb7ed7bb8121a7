"""``streamproc bench``."""

import json
from typing import Annotated, Literal

import typer

from streamproc.settings import load_settings

Trust = Literal["content", "declared"]
Precision = Literal["fp32", "bf16", "fp16"]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]

bench = typer.Typer(
    name="bench",
    help="Measure this machine: the engine against its peers, on the CPU or on a CUDA device, its cost model against "
    "the clock, the pipeline against the floor of its libraries, exactly-once against at-least-once, one group "
    "protocol against the other.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@bench.command()
def engine(
    *,
    model: Annotated[
        str,
        typer.Option(
            help="plus_large or plus_base: that shape with random weights. Else a model by name, as demo, or a "
            "directory in FunASR's layout."
        ),
    ] = "plus_large",
    repeats: Annotated[int, typer.Option(min=1, max=50, help="Turns over all clips.")] = 7,
    narrow: Annotated[bool, typer.Option(help="Each engine in what it offers below fp32, too.")] = True,
    as_json: Json = False,
) -> None:
    """Run the engine on the CPU beside FunASR's own loop, ONNX Runtime and OpenVINO, in fp32 and below.

    Same clips, threads and settings of memory, clip by clip in turn in one process; scores in fp32 that differ by more
    than 1e-4 end it, those of narrower precisions are told. The speed is told beside the machine's own rate of fp32
    products. Threads: setting model.threads, else all cores.

    Example: `streamproc bench engine --model demo --repeats 3`
    """
    from rich.console import Console

    from streamproc.bench.memory import as_in_a_device_process

    as_in_a_device_process()
    from streamproc.bench.engine import run_engine
    from streamproc.bench.show import engine_json, show_engine
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    with LiveProgress() as progress:
        report = run_engine(model, settings.model.threads, repeats, progress.count, narrow=narrow)
    if as_json:
        typer.echo(json.dumps(engine_json(report)))
    else:
        show_engine(report, Console())


@bench.command()
def gpu(
    *,
    model: Annotated[
        str,
        typer.Option(
            help="plus_large or plus_base with random weights, a model by name, or a directory in FunASR's layout."
        ),
    ] = "plus_large",
    precision: Annotated[Precision, typer.Option(help="What the products are computed in.")] = "bf16",
    turns: Annotated[int, typer.Option(min=1, max=50, help="Turns of the stream, and of FunASR.")] = 7,
    as_json: Json = False,
) -> None:
    """Run the engine on a CUDA device beside FunASR on the same one, and tell which of its goals are met.

    Where the time goes is told by kind of kernel, and the speed beside the device's own rate of products. Without a
    CUDA device it says so and ends with status 2.

    Example: `streamproc bench gpu --precision fp32`
    """
    from rich.console import Console

    from streamproc.bench.gpu import run_gpu
    from streamproc.bench.gpu_show import gpu_json, show_gpu
    from streamproc.operate.progress import LiveProgress

    with LiveProgress() as progress:
        report = run_gpu(model, precision, turns, progress.count)
    if as_json:
        typer.echo(json.dumps(gpu_json(report)))
    else:
        show_gpu(report, Console())


@bench.command()
def cost(
    *,
    model: Annotated[
        str,
        typer.Option(
            help="plus_large or plus_base with random weights, a model by name, or a directory in FunASR's layout."
        ),
    ] = "demo",
    clips: Annotated[int, typer.Option(min=1, max=200, help="Clips of 0.5 to 60 s, log-uniform.")] = 24,
    repeats: Annotated[int, typer.Option(min=1, max=50, help="Turns over all clips; the best counts.")] = 3,
    as_json: Json = False,
) -> None:
    """Compare what the engine's cost model predicts with what clips take. The worker admits recordings by it.

    Device and threads: settings model.device and model.threads.

    Example: `streamproc bench cost --clips 12`
    """
    from rich.console import Console

    from streamproc.bench.cost import run_cost
    from streamproc.bench.show import cost_json, show_cost
    from streamproc.operate.progress import LiveProgress

    settings = load_settings().model
    with LiveProgress() as progress:
        report = run_cost(model, settings.device, settings.threads, clips, repeats, progress.count)
    if as_json:
        typer.echo(json.dumps(cost_json(report)))
    else:
        show_cost(report, Console())


@bench.command()
def cold(
    *,
    model: Annotated[
        str,
        typer.Option(
            help="plus_large or plus_base: that shape with random weights and an optimizer's state, as published files "
            "have. Else a model by name, as demo, or a directory in FunASR's layout."
        ),
    ] = "plus_large",
    rounds: Annotated[int, typer.Option(min=1, max=50, help="Starts of each kind, after one that does not count.")] = 5,
    as_json: Json = False,
) -> None:
    """Start new processes: from nothing to the first result of a clip of 2 s, ours, FunASR's, and torch's bare import.

    Then the device process, from its start until it is ready, and the memory of one, two and four of them on one
    checkpoint. Threads: setting model.threads, else all cores.

    Example: `streamproc bench cold --rounds 3`
    """
    from rich.console import Console

    from streamproc.bench.cold import run_cold
    from streamproc.bench.cold_show import cold_json, show_cold
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    with LiveProgress() as progress:
        report = run_cold(model, settings.model.threads, rounds, progress.count)
    if as_json:
        typer.echo(json.dumps(cold_json(report)))
    else:
        show_cold(report, Console())


@bench.command()
def pipeline(
    *,
    events: Annotated[int, typer.Option(min=2_000, max=50_000, help="Events to measure, after a warm-up.")] = 5_000,
    trust: Annotated[Trust, typer.Option(help="content fetches and hashes each object; declared none.")] = "declared",
    as_json: Json = False,
) -> None:
    """Run a worker on events whose analyses it remembers, then the same records through its libraries alone.

    Its device answers at once. Starts the servers that do not run and stops what it started. Uses topics, a group and a
    folder of its own, all named bench.

    Example: `streamproc bench pipeline --events 5000`
    """
    from rich.console import Console

    from streamproc.bench.pipeline import run_pipeline
    from streamproc.bench.show import pipeline_json, show_pipeline
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    with LiveProgress() as progress:
        report = run_pipeline(settings, events, trust, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(pipeline_json(report)))
    else:
        show_pipeline(report, Console())


@bench.command()
def delivery(
    *,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="Rounds of each size, after one that warms up.")] = 12,
    worker_rounds: Annotated[int, typer.Option(min=1, max=10, help="Workers of each delivery.")] = 3,
    events: Annotated[int, typer.Option(min=2_000, max=50_000, help="Events of each worker, after a warm-up.")] = 5_000,
    as_json: Json = False,
) -> None:
    """Measure what exactly-once costs: in a bare loop of the worker's source and sinks, then in whole workers.

    The loop waits for each commit before it takes more, so every round trip is in its rate; a worker goes on meanwhile.
    Starts the servers that do not run and stops what it started. Uses topics and groups of its own. Setting
    kafka.group_protocol chooses how the group is joined.

    Example: `streamproc bench delivery --rounds 5`
    """
    from rich.console import Console

    from streamproc.bench.delivery import run_delivery
    from streamproc.bench.show import delivery_json, show_delivery
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    with LiveProgress() as progress:
        report = run_delivery(settings, rounds, events, worker_rounds, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(delivery_json(report)))
    else:
        show_delivery(report, Console())


@bench.command()
def groups(
    *,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Runs of each protocol.")] = 1,
    changes: Annotated[int, typer.Option(min=1, max=50, help="Joins and leaves in a run, 3 s apart.")] = 8,
    as_json: Json = False,
) -> None:
    """Let a member join and leave a group under load, by the classic and the consumer protocol in turn.

    Counts the transactions that were aborted, the records that were lost or done twice, and how long a partition stood
    still. Starts the servers that do not run and stops what it started.

    Example: `streamproc bench groups --rounds 3`
    """
    from rich.console import Console

    from streamproc.bench.groups import run_groups
    from streamproc.bench.show import groups_json, show_groups
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    with LiveProgress() as progress:
        report = run_groups(settings, rounds, changes, progress.server, progress.count)
    if as_json:
        typer.echo(json.dumps(groups_json(report)))
    else:
        show_groups(report, Console())
