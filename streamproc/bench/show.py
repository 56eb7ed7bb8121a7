"""How measurements are shown, to people and to programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.cost import WITHIN, CostReport
from streamproc.bench.delivery import DeliveryReport
from streamproc.bench.engine import OURS, EngineReport
from streamproc.bench.groups import GroupsReport
from streamproc.bench.machine import Machine
from streamproc.bench.pipeline import PipelineReport, Run, Trust
from streamproc.bench.spread import Spread
from streamproc.bench.workers import WorkersFigures

REPEATED: Mapping[Trust, str] = MappingProxyType(
    {
        "declared": "Analyses came from the worker's memory, or from Redis, each once, to a worker that had just "
        "started: by the hash that its event declares, so nothing was fetched. The floor beside memory asks Redis too, "
        "for names that it does not know.",
        "content": "Every analysis came from the worker's memory; every object was still fetched from the store and "
        "hashed, which the floor does not do.",
    }
)


def show_engine(report: EngineReport, console: Console) -> None:
    """Print an engine report; fits 80 columns."""
    table = Table("audio-s per s", box=box.SIMPLE)
    for name in ("min", "median", "max", "ours over it", "differs by"):
        table.add_column(name, justify="right")
    table.add_row(OURS, *_cells(report.audio_seconds_per_s, 1), "", "")
    for peer in report.peers:
        figures = (*_cells(peer.audio_seconds_per_s, 1), _ratio(peer.ratio), f"{peer.largest_difference:.1e}")
        table.add_row(peer.name, *figures)
    console.print(table)
    for line in engine_lines(report):
        console.print(line, highlight=False)
    console.print(machine_line(report.machine), highlight=False)


def engine_lines(report: EngineReport) -> Iterator[str]:
    """What stands below the table."""
    for name, packages in report.missing.items():
        yield f"{name} is not installed: pip install {' '.join(packages)}"
    yield (
        f"Model {report.model}, {report.threads} threads, {report.repeats} turns over {report.clips} clips of "
        f"{report.clip_seconds:.1f} s together, {report.gflop_per_audio_second:.2f} GFLOP for a second of audio."
    )
    alike = [f"{peer.name} {_ratio(peer.alike)}" for peer in report.peers if peer.alike]
    if alike:
        yield f"Ours over theirs in the same precision: {'; '.join(alike)}."
    trials, share = report.gemm_gflops, report.of_gemm
    yield (
        f"The machine's own fp32 products, asked between the clips: {trials.middle:.0f} GFLOP/s, at best "
        f"{trials.most:.0f}. Ours: {share.middle:.0%} of the turn's ({share.least:.0%} to {share.most:.0%}), "
        f"{report.of_best_gemm:.0%} of the best."
    )
    yield from (f"Chosen at the start: {choice}." for choice in report.choices)


def show_cost(report: CostReport, console: Console) -> None:
    """Print a cost report; fits 80 columns."""
    table = Table("clip", box=box.SIMPLE)
    for name in ("clips", "predicted", "measured", "ratio"):
        table.add_column(name, justify="right")
    for row in report.rows:
        times = (f"{1000 * seconds:.1f} ms" for seconds in (row.predicted_s, row.measured_s))
        table.add_row(f"{row.clip_seconds:.1f} s", str(row.items), *times, f"{row.ratio:.2f}")
    console.print(table)
    console.print(
        f"Model {report.model}, device {report.device}, {report.threads} threads: {report.within:.0%} of "
        f"{len(report.rows)} predictions are within {WITHIN:.0%} of the best of {report.repeats} turns; the ratio is "
        f"{' / '.join(_cells(report.ratio, 2))} at least / in the middle / at most. The trials took "
        f"{report.trials_s:.2f} s.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def show_pipeline(report: PipelineReport, console: Console) -> None:
    """Print a pipeline report; fits 80 columns."""
    runs = {"memory": report.memory} | ({} if report.redis is None else {"Redis": report.redis})
    table = Table("CPU us per event, known to", box=box.SIMPLE)
    for name in runs:
        table.add_column(name, justify="right")
    for row in _pipeline_rows(list(runs.values())):
        table.add_row(*row)
    console.print(table)
    for name, run in runs.items():
        worker = run.worker
        console.print(
            f"{name}: {worker.events} events in {worker.transactions} transactions; mean micro-batch "
            f"{worker.mean_micro_batch:.0f} records, mean transaction {worker.mean_transaction_ms:.1f} ms.",
            highlight=False,
        )
    console.print(REPEATED[report.trust], highlight=False)
    console.print(machine_line(report.machine), highlight=False)


def _pipeline_rows(runs: Sequence[Run]) -> Iterator[tuple[str, ...]]:
    """The worker and its rate, each part of its floor, the sums of both floors, and what the worker is of them."""
    yield "worker, main process", *(f"{1000 * run.worker.cpu_ms_per_event:.1f}" for run in runs)
    for number, cost in enumerate(runs[0].floor.libraries):
        yield f"floor: {cost.part}", *(f"{run.cpu_us([run.floor.libraries[number]]):.1f}" for run in runs)
    yield "floor: sum", *(f"{run.cpu_us(run.floor.libraries):.1f}" for run in runs)
    yield "ratio, worker to floor", *(f"{run.cpu_ratio:.2f}" for run in runs)
    for number, cost in enumerate(runs[0].floor.own):
        if cost != runs[0].floor.libraries[number]:
            yield f"our own: {cost.part}", *(f"{run.cpu_us([run.floor.own[number]]):.1f}" for run in runs)
    yield "floor with our own: sum", *(f"{run.cpu_us(run.floor.own):.1f}" for run in runs)
    yield "ratio, worker to that", *(f"{run.own_cpu_ratio:.2f}" for run in runs)
    yield "events per s, worker", *(f"{run.worker.events_per_s:.0f}" for run in runs)
    yield "events per s, floor", *(f"{run.floor_events_per_s:.0f}" for run in runs)


def show_delivery(report: DeliveryReport, console: Console) -> None:
    """Print a delivery report; fits 80 columns."""
    table = Table("size", box=box.SIMPLE)
    for name in ("delivery", "min", "median", "max", "commit", "waits", "CPU us"):
        table.add_column(name, justify="left" if name == "delivery" else "right")
    for found in report.sizes:
        for name, side in (("exactly once", found.exactly_once), ("at least once", found.at_least_once)):
            times = (f"{side.commit_ms:.1f} ms", f"{side.waits_ms:.1f} ms", f"{side.cpu_us:.1f}")
            table.add_row(str(found.size), name, *_cells(side.records_per_s, 0), *times)
        table.add_row("", "ratio", *_cells(found.ratio, 2), "", "", f"{found.cpu_ratio.middle:.2f}")
    console.print(table)
    console.print(
        f"Records of {report.value_bytes} B per s, by records a commit; {report.rounds} rounds, {report.partitions} "
        f"partitions, group protocol {report.protocol}. The ratio is of the two turns of a round. A commit: outputs "
        "and offsets, until they are visible; the loop waits for each. Waits: of a micro-batch's time, what is no "
        "processor time of this process. CPU: for each record.",
        highlight=False,
    )
    _show_workers(report.workers, console)
    console.print(machine_line(report.machine), highlight=False)


def _show_workers(workers: WorkersFigures, console: Console) -> None:
    table = Table("whole worker", box=box.SIMPLE)
    for name in ("events per s", "CPU us", "records", "mean commit"):
        table.add_column(name, justify="right")
    for name, runs in (("exactly once", workers.exactly_once), ("at least once", workers.at_least_once)):
        for run in runs:
            times = (f"{run.mean_micro_batch:.0f}", f"{run.mean_transaction_ms:.1f} ms")
            table.add_row(name, f"{run.events_per_s:.0f}", f"{1000 * run.cpu_ms_per_event:.1f}", *times)
    table.add_row("ratio", _ratio(workers.ratio), _ratio(workers.cpu_ratio), "", "")
    console.print(table)
    console.print(
        f"{workers.events} events each, all from memory, {len(workers.exactly_once)} rounds. CPU: of the main process, "
        "for each event. Records: of a commit. The ratios are of the two workers of a round.",
        highlight=False,
    )


def show_groups(report: GroupsReport, console: Console) -> None:
    """Print a groups report; fits 80 columns."""
    table = Table("protocol", box=box.SIMPLE)
    for name in ("changes", "sent", "commits", "aborts", "doubled", "lost", "gap"):
        table.add_column(name, justify="right")
    for run in report.runs:
        counts = (run.changes, run.sent, run.transactions, run.aborts, run.doubled, run.lost)
        table.add_row(run.protocol, *map(str, counts), f"{run.longest_gap_s:.1f} s")
    console.print(table)
    console.print(
        "Changes: members that joined or left. Gap: the longest time that any partition was without a commit.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def machine_line(machine: Machine) -> str:
    """The machine's shape in a sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return (
        f"{machine.cpu}, {machine.cores} cores, load {machine.load:.2f} before, Python {machine.python}, {packages}, "
        f"commit {machine.commit or 'unknown'}."
    )


def engine_json(report: EngineReport) -> Mapping[str, object]:
    """The same for programs."""
    return {"bench": "engine", **asdict(report), "of_best_gemm": report.of_best_gemm}


def cost_json(report: CostReport) -> Mapping[str, object]:
    """The same for programs."""
    return {"bench": "cost", **asdict(report), "within": report.within, "ratio": asdict(report.ratio)}


def pipeline_json(report: PipelineReport) -> Mapping[str, object]:
    """The same for programs: what came from memory at the top, as there is always some."""
    return {
        "bench": "pipeline",
        "machine": asdict(report.machine),
        "trust": report.trust,
        **_run_json(report.memory),
        "redis": None if report.redis is None else _run_json(report.redis),
    }


def _run_json(run: Run) -> Mapping[str, object]:
    parts = [
        {"part": cost.part, "cpu_us": run.cpu_us([cost]), "own_cpu_us": run.cpu_us([own])}
        for cost, own in zip(run.floor.libraries, run.floor.own, strict=True)
    ]
    return {
        "worker": asdict(run.worker),
        "floor": [asdict(cost) for cost in run.floor.libraries],
        "own_floor": [asdict(cost) for cost in run.floor.own],
        "parts": parts,
        "floor_events_per_s": run.floor_events_per_s,
        "floor_cpu_ms_per_event": run.cpu_us(run.floor.libraries) / 1000,
        "own_floor_cpu_ms_per_event": run.cpu_us(run.floor.own) / 1000,
        "speed_ratio": run.speed_ratio,
        "cpu_ratio": run.cpu_ratio,
        "own_cpu_ratio": run.own_cpu_ratio,
    }


def delivery_json(report: DeliveryReport) -> Mapping[str, object]:
    """The same for programs."""
    workers = report.workers
    ratios = {"workers_ratio": asdict(workers.ratio), "workers_cpu_ratio": asdict(workers.cpu_ratio)}
    return {"bench": "delivery", **asdict(report), **ratios}


def groups_json(report: GroupsReport) -> Mapping[str, object]:
    """The same for programs."""
    return {"bench": "groups", **asdict(report)}


def _cells(values: Spread, digits: int) -> Iterator[str]:
    return (f"{value:.{digits}f}" for value in (values.least, values.middle, values.most))


def _ratio(values: Spread) -> str:
    least, middle, most = _cells(values, 2)
    return f"{middle} ({least}-{most})"
