"""New events, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.fresh import FreshReport
from streamproc.bench.recorded import SECONDS
from streamproc.bench.show import machine_line


def show_fresh(report: FreshReport, console: Console) -> None:
    """Print a report; fits 80 columns."""
    table = Table("CPU ms per event", box=box.SIMPLE)
    for found in report.formats:
        table.add_column(found.format, justify="right")
    formats = report.formats
    table.add_row("worker, main process", *(f"{f.worker.cpu_ms_per_event:.3f}" for f in formats))
    table.add_row("worker, decoders and device", *(f"{f.children_cpu_ms_per_event:.3f}" for f in formats))
    for number, cost in enumerate(formats[0].floor):
        parts = (f.floor[number].cpu_s / f.worker.events for f in formats)
        table.add_row(f"floor: {cost.part}", *(f"{1000 * seconds:.3f}" for seconds in parts))
    table.add_row("floor: sum", *(f"{f.floor_cpu_ms_per_event:.3f}" for f in formats))
    table.add_row("ratio, worker to floor", *(f"{f.cpu_ratio:.2f}" for f in formats))
    table.add_row("events per s", *(f"{f.worker.events_per_s:.0f}" for f in formats))
    table.add_row("KB of a recording", *(f"{f.bytes / 1000:.0f}" for f in formats))
    console.print(table)
    console.print(
        f"{formats[0].worker.events} recordings of {SECONDS:g} s of each format, each heard once, a device that "
        "answers at once. The floor's parts run one after the other in one thread, in one process.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def fresh_json(report: FreshReport) -> Mapping[str, object]:
    """The same for programs."""
    formats = [
        {
            **asdict(found),
            "cpu_ms_per_event": found.cpu_ms_per_event,
            "floor_cpu_ms_per_event": found.floor_cpu_ms_per_event,
            "cpu_ratio": found.cpu_ratio,
        }
        for found in report.formats
    ]
    return {"bench": "fresh", **asdict(report), "formats": formats}
