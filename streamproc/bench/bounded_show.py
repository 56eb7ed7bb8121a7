"""The memory of a worker, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.bounded import SHORT, BoundedReport, Held
from streamproc.bench.recorded import SECONDS
from streamproc.bench.resident import Resident
from streamproc.bench.show import machine_line

_MIB = 2**20


def show_bounded(report: BoundedReport, console: Console) -> None:
    """Print a report; fits 80 columns."""
    table = Table("MiB", box=box.SIMPLE)
    for name in ("main", "children", "shared", "together"):
        table.add_column(name, justify="right")
    for name, held in (("a free device", report.free), (f"{report.slow_audio_s_per_s:g} audio-s/s", report.slow)):
        table.add_row(f"{name}: idle", *_cells(held.idle))
        table.add_row("  at its peak", *_cells(held.peak))
        table.add_row("  ceiling", "", "", "", f"{held.ceiling_bytes / _MIB:,.0f}")
        table.add_row("  peak over ceiling", "", "", "", f"{held.of_ceiling:.2f}")
        table.add_row("  device busy", "", "", "", f"{held.device_busy:.0%}")
    console.print(table)
    console.print(
        f"{report.events} new recordings: {report.long} of {report.long_s / 60:g} minutes "
        f"({report.long_bytes / 1e6:.0f} MB each) among {SHORT} of {SECONDS:g} s. Ceiling: the idle worker, and "
        f"{report.free.allowed_bytes / _MIB:,.0f} MiB that the settings allow in flight and in memory. Pages of files "
        "are not counted. Shared: waveforms and objects between the processes, each page once.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def bounded_json(report: BoundedReport) -> Mapping[str, object]:
    """The same for programs."""
    return {
        "bench": "memory",
        **asdict(report),
        "free": _held_json(report.free),
        "slow": _held_json(report.slow),
    }


def _held_json(held: Held) -> Mapping[str, object]:
    return {**asdict(held), "ceiling_bytes": held.ceiling_bytes, "of_ceiling": held.of_ceiling}


def _cells(found: Resident) -> tuple[str, ...]:
    return tuple(f"{size / _MIB:,.0f}" for size in (found.main, found.children, found.shared, found.total))
