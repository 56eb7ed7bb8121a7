"""How the measurements of a CUDA device are shown, to people and to programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.gpu import GpuReport
from streamproc.bench.show import machine_line
from streamproc.bench.spread import Spread


@dataclass(frozen=True, slots=True)
class Goal:
    """What was asked of one H200 with emotion2vec+ large in bf16, and what was found here."""

    name: str
    found: float
    least: float | None = None
    """To be reached; None where there is a most."""
    most: float | None = None
    """To stay under."""

    @property
    def met(self) -> bool:
        """Whether it is."""
        return (self.least is None or self.found >= self.least) and (self.most is None or self.found < self.most)


NO_PEER = "FunASR is not installed, so there is no peer: it is a dependency of development (requirements/dev.lock)."


def goals(report: GpuReport) -> Sequence[Goal]:
    """All that were measured: without a peer there is no ratio."""
    ratio = [] if report.peer is None else [Goal("times FunASR", report.peer.ratio.middle, least=50)]
    return [
        Goal("audio-s per s", report.audio_seconds_per_s.middle, least=10_000),
        *ratio,
        Goal("device busy", report.busy, least=0.9),
        Goal("20 clips of 8 s, ms", report.twenty_ms.middle, most=100),
        Goal("one clip alone, ms", report.alone_ms.middle, most=6),
    ]


def show_gpu(report: GpuReport, console: Console) -> None:
    """Print a GPU report; fits 80 columns."""
    table = Table(f"{report.model}, {report.precision}", box=box.SIMPLE)
    for name in ("min", "median", "max"):
        table.add_column(name, justify="right")
    table.add_row("audio-s per s, stream of 5 s clips", *_cells(report.audio_seconds_per_s, 0))
    if report.peer is not None:
        table.add_row("FunASR, clip by clip", *_cells(report.peer.audio_seconds_per_s, 0))
        table.add_row("ratio, turn by turn", *_cells(report.peer.ratio, 1))
    table.add_row("20 clips of 8 s, ms", *_cells(report.twenty_ms, 1))
    table.add_row("one clip of 5 s alone, ms", *_cells(report.alone_ms, 2))
    console.print(table)
    for line in gpu_lines(report):
        console.print(line, highlight=False)
    console.print(machine_line(report.machine), highlight=False)


def gpu_lines(report: GpuReport) -> Iterator[str]:
    """What stands below the table."""
    yield (
        f"{report.device}, {report.memory_gib:.0f} GiB, {report.peak_memory_gib:.1f} of them used; batches of "
        f"{report.clips} clips."
    )
    if report.peer is None:
        yield NO_PEER
    yield (
        f"Floor: the device's products run at {report.product_tflops:.0f} TFLOP/s, a second of audio takes "
        f"{report.gflop_per_audio_second:.2f} GFLOP, so {report.floor_audio_seconds_per_s:.0f} audio-s per s at most; "
        f"{report.of_floor:.0%} of it reached."
    )
    kinds = ", ".join(f"{name} {share:.0%}" for name, share in report.kernels.items())
    yield f"The device ran something for {report.busy:.0%} of the stream's time: {kinds}."
    for goal in goals(report):
        bound = f"at least {goal.least:g}" if goal.least is not None else f"under {goal.most:g}"
        yield f"Goal {'met' if goal.met else 'missed'}: {goal.name} {goal.found:.4g}, {bound}."


def gpu_json(report: GpuReport) -> Mapping[str, object]:
    """The same for programs."""
    return {
        "bench": "gpu",
        **asdict(report),
        "of_floor": report.of_floor,
        "goals": [asdict(goal) | {"met": goal.met} for goal in goals(report)],
    }


def _cells(values: Spread, digits: int) -> Iterator[str]:
    return (f"{value:.{digits}f}" for value in (values.least, values.middle, values.most))
