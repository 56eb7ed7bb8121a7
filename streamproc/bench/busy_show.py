"""How busy a device is kept, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.busy import BusyReport
from streamproc.bench.recorded import SECONDS
from streamproc.bench.show import machine_line
from streamproc.bench.timeline import picture

SHOWN = 8
"""Micro-batches of a picture: the first ones show how it gets going, and how it goes on."""


def show_busy(report: BusyReport, console: Console) -> None:
    """Print a report, then the timeline of each speed."""
    table = Table(box=box.SIMPLE)
    for name in ("audio-s per s", "events per s", "seconds", "device s", "busy"):
        table.add_column(name, justify="right")
    for found in report.speeds:
        rate, busy = report.events / found.seconds, f"{found.busy:.1%}"
        table.add_row(f"{found.audio_s_per_s:g}", f"{rate:.0f}", f"{found.seconds:.2f}", f"{found.device_s:.2f}", busy)
    console.print(table)
    for found in report.speeds:
        console.print(f"{found.audio_s_per_s:g} audio-seconds per second, the first {SHOWN} micro-batches by stage")
        first = sorted({span.micro_batch for span in found.spans})[:SHOWN]
        for line in picture([span for span in found.spans if span.micro_batch in first], console.width):
            console.print(line, highlight=False, markup=False)
    console.print(
        f"{report.events} recordings of {SECONDS:g} s, each heard once, {report.micro_batch_records} in a micro-batch "
        "at most. Busy: from the first recording that was decoded until the last was computed.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def busy_json(report: BusyReport) -> Mapping[str, object]:
    """The same for programs."""
    speeds = [{**asdict(found), "busy": found.busy} for found in report.speeds]
    return {"bench": "device", **asdict(report), "speeds": speeds}
