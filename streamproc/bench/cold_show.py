"""How cold starts are shown, to people and to programs."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.cold import BARE, FUNASR, OURS, SHARED, TORCH, ColdReport
from streamproc.bench.show import machine_line
from streamproc.bench.spread import Spread

PHASES = ("python", "imports", "load", "warm-up", "forward")
NAMES = {TORCH: "torch", OURS: "streamproc", SHARED: "streamproc, mapped", FUNASR: "FunASR"}


def show_cold(report: ColdReport, console: Console) -> None:
    """Print a report; fits 80 columns."""
    table = Table("median s", box=box.SIMPLE)
    for name in (*PHASES, "total", "MiB"):
        table.add_column(name, justify="right")
    for kind, starts in report.starts.items():
        phases = [
            f"{median(start.phases_s[phase] for start in starts):.2f}" if phase in starts[0].phases_s else ""
            for phase in PHASES
        ]
        peak = median(max(start.peak_mib.values()) for start in starts)
        table.add_row(NAMES[kind], *phases, f"{median(report.totals(kind)):.2f}", f"{peak:.0f}")
    console.print(table)
    for line in cold_lines(report):
        console.print(line, highlight=False)
    console.print(machine_line(report.machine), highlight=False)


def cold_lines(report: ColdReport) -> Iterator[str]:
    """What stands below the table."""
    yield (
        f"Model {report.model}, a checkpoint of {report.checkpoint_mib:.0f} MiB, {report.threads} threads, "
        f"{len(report.ready_s)} rounds, files in the page cache, a clip of 2 s; torch: its import. MiB: at most."
    )
    for kind in report.starts:
        if kind != OURS:
            yield f"Ours over {NAMES[kind]}: {_text(report.over(kind))}."
    added = median(report.added_mib)
    yield (
        f"Weights and a first result add {added:.0f} MiB at most to what the imports took, "
        f"{added / report.weights_mib:.2f} times the {report.weights_mib:.0f} MiB of weights that are used."
    )
    yield (
        f"A device process is ready after {median(report.ready_s):.2f} s, {_text(report.ready_over_torch_s)} s more "
        f"than torch's import, {_text(report.ready_over_ours_s)} s more than a started process's first result."
    )
    package = [
        f"{1000 * value:.0f}" for value in (report.package_s.middle, report.package_s.least, report.package_s.most)
    ]
    yield (
        f"import streamproc adds {package[0]} ms ({package[1]} to {package[2]}) of processor time to the "
        f"{1000 * median(report.import_s[BARE]):.0f} of python -c pass."
    )
    for crowd in report.crowds:
        rss, pss, clean, dirty = crowd.mib.values()
        yield (
            f"{crowd.processes} device processes, weights {crowd.weights}: {rss:.0f} MiB resident, {pss:.0f} MiB with "
            f"what they share counted once, {clean + dirty:.0f} MiB of it nobody else's."
        )


def cold_json(report: ColdReport) -> Mapping[str, object]:
    """The same for programs."""
    over = {kind: asdict(report.over(kind)) for kind in report.starts if kind != OURS}
    spreads = {
        "ready_over_torch_s": asdict(report.ready_over_torch_s),
        "ready_over_ours_s": asdict(report.ready_over_ours_s),
        "package_s": asdict(report.package_s),
        "added_mib": report.added_mib,
        "added_of_weights": median(report.added_mib) / report.weights_mib,
    }
    return {"bench": "cold", **asdict(report), "over": over, **spreads}


def _text(values: Spread) -> str:
    return f"{values.middle:.2f} ({values.least:.2f} to {values.most:.2f})"
