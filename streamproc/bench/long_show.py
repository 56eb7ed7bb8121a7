"""How long recordings are shown, to people and to programs."""

from collections.abc import Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.long import LongReport
from streamproc.bench.show import machine_line


def show_long(report: LongReport, console: Console) -> None:
    """Print a report; fits 80 columns."""
    table = Table("recording", box=box.SIMPLE)
    for name in ("segments", "speech", "ms per audio-s: min", "median", "max", "MiB"):
        table.add_column(name, justify="right")
    for length in report.lengths:
        first, figure = length.runs[0], length.ms_per_audio_s
        times = (f"{value:.2f}" for value in (figure.least, figure.middle, figure.most))
        speech = f"{first.speech_s / length.seconds:.0%}"
        table.add_row(f"{length.seconds:g} s", str(first.segments), speech, *times, f"{length.peak_mib:.0f}")
    console.print(table)
    before = max(run.before_mib for length in report.lengths for run in length.runs)
    console.print(
        f"Model {report.model}, {report.threads} threads, {len(report.lengths[0].runs)} rounds, each recording in a "
        f"new process. A second of the longest takes {report.slope:.2f} times what one of the next shorter one takes; "
        f"the longest had {report.growth_mib:+.0f} MiB more at most than the shortest, of {before:.0f} with the model "
        "loaded and warm. At most 15 s are one segment, whole; more is listened to first.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def long_json(report: LongReport) -> Mapping[str, object]:
    """The same for programs."""
    body = asdict(report)
    for length, fields in zip(report.lengths, body["lengths"], strict=True):
        fields |= {"ms_per_audio_s": asdict(length.ms_per_audio_s), "peak_mib": length.peak_mib}
    return {"bench": "long", **body, "slope": report.slope, "growth_mib": report.growth_mib}
