"""The table of all benchmarks, for the terminal and as it is committed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rich import box
from rich.table import Table

from tools.bench.measured import Measured, cells
from tools.page import write_page

HEADINGS = ("benchmark", "figure", "value", "bound", "goal", "")


def table(found: Sequence[Measured]) -> Table:
    """For the terminal."""
    shown = Table(*HEADINGS, box=box.SIMPLE)
    for one in found:
        shown.add_row(*cells(one), style=None if one.held else "red")
    return shown


def write_report(path: Path, found: Sequence[Measured], machines: Sequence[Mapping[str, object]], at: datetime) -> None:
    """Write the page, whole or not at all."""
    write_page(path, _lines(found, machines, at))


def _lines(found: Sequence[Measured], machines: Sequence[Mapping[str, object]], at: datetime) -> Iterator[str]:
    first = machines[0]
    loads = ", ".join(str(machine["load"]) for machine in machines)
    packages: dict[object, object] = {}
    for machine in machines:
        listed = machine["packages"]
        packages |= listed if isinstance(listed, Mapping) else {}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(packages.items(), key=str))
    yield from (
        "# The report of the benchmarks",
        "",
        f"Written by `make bench` on {at:%d %B %Y}. Commit {first['commit']}, {first['cpu']}, {first['cores']} cores,",
        f"Python {first['python']}, {versions}.",
        f"Load before each run: {loads}. Above 0 somebody else was at work.",
        "",
        "A value is the middle of the runs, with the least and the most of them. The bounds are those of",
        "`tools/bench/bounds.json`: a ratio that falls behind its bound ends `make bench` with 1. What is measured,",
        "and how: [benchmarks.md](../benchmarks.md).",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|" + "---|" * len(HEADINGS),
    )
    yield from ("| " + " | ".join(cells(one)) + " |" for one in found)
