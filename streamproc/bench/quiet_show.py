"""Latency at low load, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.played import Latency
from streamproc.bench.quiet import QuietReport
from streamproc.bench.show import machine_line


def show_quiet(report: QuietReport, console: Console) -> None:
    """Print a report; fits 80 columns."""
    table = Table("ms", box=box.SIMPLE)
    for name in ("mean", "p50", "p95", "p99"):
        table.add_column(name, justify="right")
    for kind in report.kinds:
        table.add_row(f"{kind.name}: whole", *_cells(kind.whole))
        for name, found in kind.stages.items():
            table.add_row(f"  until {name}", *_cells(found))
    console.print(table)
    console.print(
        f"{report.events} recordings of 5 s, {report.events_per_s:g} per s, heard for the first time, then again; a "
        f"device that answers at once; a poll gathers for {report.linger_ms:g} ms. Whole: from an event that is due "
        "until a reader of committed rows has its result. The steps are inside of the worker, each from the one above "
        "it; what is before the first of them is the producer, the broker and the poll.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def quiet_json(report: QuietReport) -> Mapping[str, object]:
    """The same for programs."""
    kinds = [
        {
            **asdict(kind),
            "p50_over_linger": kind.whole.p50 / report.linger_ms,
            "p99_over_linger": kind.whole.p99 / report.linger_ms,
        }
        for kind in report.kinds
    ]
    return {"bench": "latency", **asdict(report), "kinds": kinds}


def _cells(found: Latency) -> tuple[str, ...]:
    return tuple(f"{ms:.1f}" for ms in (found.mean, found.p50, found.p95, found.p99))
