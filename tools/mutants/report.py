"""The report of all mutants, as it is committed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from streamproc.testing.simulation.report import commit, machine
from tools.mutants.verdict import Fate, Judged, Verdict
from tools.page import write_page

_LONGEST_HOW = 160


def summary(judged: Sequence[Judged]) -> str:
    """How many died, of how many."""
    return f"{sum(verdict.fate is Fate.DEAD for _, verdict in judged)} of {len(judged)} mutants died"


def write_report(path: Path, judged: Sequence[Judged], seconds: float) -> None:
    """Write the page, whole or not at all."""
    write_page(path, _lines(judged, seconds))


def as_json(judged: Sequence[Judged]) -> Sequence[Mapping[str, Any]]:
    """For programs."""
    return [
        {
            "name": mutant.name,
            "stands_for": mutant.stands_for,
            "file": mutant.file,
            "killer": str(mutant.killer),
            "fate": verdict.fate,
            "by": verdict.by,
            "how": verdict.how,
            "seconds": round(verdict.seconds, 1),
        }
        for mutant, verdict in judged
    ]


def how(verdict: Verdict) -> str:
    """How it was seen, on one short line."""
    text = " ".join(verdict.how.split())
    return text if len(text) <= _LONGEST_HOW else f"{text[:_LONGEST_HOW]} ..."


def _lines(judged: Sequence[Judged], seconds: float) -> Iterator[str]:
    yield from (
        "# The mutants' report",
        "",
        f"Written by `make mutants`. Commit {commit()}, {machine()}, {seconds:,.0f} s.",
        "",
        "Each mutant is one mistake, made on purpose in a copy of the program, that the simulator or a named test has",
        "to find; the same seeds and tests pass on the program as it is. To crash the one that looks is not enough.",
        "",
        f"**{summary(judged)}.**",
        "",
        "| mutant | stands for | in | dies by | how |",
        "|---|---|---|---|---|",
    )
    for mutant, verdict in judged:
        by = f"{mutant.killer}, {verdict.by}" if verdict.fate is Fate.DEAD else f"**{verdict.fate}**: {verdict.by}"
        cells = (mutant.name, mutant.stands_for, f"`{mutant.file}`", by, how(verdict))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
