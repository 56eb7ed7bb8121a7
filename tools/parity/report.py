"""The report, as it is committed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamproc.bench.machine import Machine
from tools.page import write_page
from tools.parity.bounds import BOUNDS, SATURATED, Against, Output
from tools.parity.tally import Row, Tally


@dataclass(frozen=True, slots=True)
class Run:
    """What was compared, and how."""

    machine: Machine
    seed: int
    threads: int
    seconds: float
    peak_bytes: int
    """The most that was resident."""
    tallies: Sequence[Tally]
    faults: Sequence[str]


def write_report(path: Path, run: Run) -> None:
    """Write the page, whole or not at all."""
    write_page(path, _lines(run))


def verdict(run: Run) -> str:
    """Whether everything held."""
    return f"{len(run.faults)} faults" if run.faults else "Every bound held"


def _lines(run: Run) -> Iterator[str]:
    machine = run.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    yield from (
        "# The parity report",
        "",
        f"Written by `make parity`. Commit {machine.commit}, seed {run.seed}, {machine.cpu}, {run.threads} threads,",
        f"Python {machine.python}, {packages}; {run.seconds:,.0f} s, {run.peak_bytes / 2**30:.1f} GiB at most.",
        "",
        "Each clip ran through FunASR as a file of its own, through the engine alone, and through the engine in",
        "batches of many compositions and orders, fp32 on the CPU. A difference is the largest of any number of a",
        "clip. What is compared, and why the bounds are what they are: [engine.md](../engine.md).",
        "",
        f"**{verdict(run)}.**",
        "",
    )
    yield from (f"- {fault}" for fault in run.faults)
    for tally in run.tallies:
        yield from _section(tally)


def _section(tally: Tally) -> Iterator[str]:
    batches = ", ".join(f"{count} {name}" for name, count in tally.batches.items())
    yield from (
        f"## {tally.name}",
        "",
        f"{tally.parameters:,} parameters. {tally.clips:,} clips, {tally.audio_s:,.0f} s of audio. Batches: {batches}.",
        f"{tally.unsaturated:.0%} of the clips have no score over {SATURATED}; {len(tally.labels)} labels occur.",
        *(["", "Computed by what was fastest at its start:", ""] if tally.choices else []),
        *(f"- {choice}" for choice in tally.choices),
        "",
        "| against | of | compared | 99.9 % are within | largest | of its bound | in | of |",
        "|---|---|---:|---:|---:|---:|---|---|",
    )
    yield from (_row(row) for row in tally.rows())
    for output in Output:
        if output in tally.control:
            ratio = tally.control[output] / BOUNDS[Against.FUNASR].of(output)
            yield f"| FunASR, padding itself | {output} | | | {tally.control[output]:.1e} | {ratio:,.0f} times | | |"
    yield ""


def _row(row: Row) -> str:
    cells = (
        str(row.against),
        str(row.output),
        f"{row.compared:,}",
        f"{row.p999:.1e}",
        f"{row.worst.difference:.1e}",
        f"{row.of_bound:.1%}",
        row.worst.company,
        str(row.worst.clip),
    )
    return "| " + " | ".join(cells) + " |"
