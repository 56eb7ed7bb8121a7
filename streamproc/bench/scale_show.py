"""What more workers bring, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.recorded import SECONDS
from streamproc.bench.scale import ScaleReport
from streamproc.bench.show import machine_line


def show_scale(report: ScaleReport, console: Console) -> None:
    """Print a report; fits 80 columns."""
    table = Table("workers", box=box.SIMPLE)
    for name in ("events/s", "over first", "CPU ms", "a main", "all workers", "machine"):
        table.add_column(name, justify="right")
    for found in report.counts:
        cores = (f"{busy:.2f}" for busy in (found.main_cores, found.workers_cores, found.machine_cores))
        rate, over = f"{found.events_per_s:.0f}", f"{report.over_first(found):.2f}"
        table.add_row(str(found.workers), rate, over, f"{found.cpu_ms_per_event:.2f}", *cores)
    console.print(table)
    console.print(
        f"{report.events} recordings of {SECONDS:g} s in {report.format}, each heard once, a device that answers at "
        "once. CPU ms: of an event, all processes of all workers. The last three are the cores that one main process, "
        f"all workers, and everybody kept busy, of {report.machine.cores}: servers and workers share them.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def scale_json(report: ScaleReport) -> Mapping[str, object]:
    """The same for programs."""
    counts = [
        {**asdict(found), "over_first": report.over_first(found), "cpu_over_first": report.cpu_over_first(found)}
        for found in report.counts
    ]
    return {"bench": "scale", **asdict(report), "counts": counts}
