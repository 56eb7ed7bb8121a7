"""The memory of a worker, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.bounded import SHORT, BoundedReport
from streamproc.bench.recorded import SECONDS
from streamproc.bench.resident import Resident
from streamproc.bench.show import machine_line

_MIB = 2**20


def show_bounded(report: BoundedReport, console: Console) -> None:
    """Print a report; fits 80 columns."""
    table = Table("MiB", box=box.SIMPLE)
    for name in ("main", "children", "shared", "together"):
        table.add_column(name, justify="right")
    table.add_row("idle", *_cells(report.idle))
    table.add_row("at its peak", *_cells(report.peak))
    table.add_row("ceiling", "", "", "", f"{report.ceiling_bytes / _MIB:,.0f}")
    table.add_row("peak over ceiling", "", "", "", f"{report.of_ceiling:.2f}")
    console.print(table)
    console.print(
        f"{report.events} new recordings: {report.long} of {report.long_s / 60:g} minutes "
        f"({report.long_bytes / 1e6:.0f} MB each) among {SHORT} of {SECONDS:g} s. Ceiling: the idle worker, and "
        f"{report.allowed_bytes / _MIB:,.0f} MiB that the settings allow in flight and in memory. Pages of files are "
        "not counted. Shared: waveforms and objects between the processes, each page once.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def bounded_json(report: BoundedReport) -> Mapping[str, object]:
    """The same for programs."""
    return {
        "bench": "memory",
        **asdict(report),
        "ceiling_bytes": report.ceiling_bytes,
        "of_ceiling": report.of_ceiling,
    }


def _cells(found: Resident) -> tuple[str, ...]:
    return tuple(f"{size / _MIB:,.0f}" for size in (found.main, found.children, found.shared, found.total))
