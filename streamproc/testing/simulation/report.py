"""The report of many seeds, as it is committed."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamproc.testing.simulation.fault import IMPOSSIBLE, PAIRS, FaultKind, Point
from streamproc.testing.simulation.tally import Tally


@dataclass(frozen=True, slots=True)
class Run:
    """What was played, and how."""

    first: int
    processes: int
    seconds: float
    tally: Tally


def write_report(path: Path, run: Run) -> None:
    """Write the page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text("\n".join(_lines(run)) + "\n")
    draft.replace(path)


def _lines(run: Run) -> Iterator[str]:
    found = run.tally.as_json(0)
    rate = run.tally.seeds / run.seconds
    yield from (
        "# The simulator's report",
        "",
        f"Written by `make simulate`. Seeds {run.first:,} to {run.first + run.tally.seeds - 1:,}, commit {commit()},",
        f"{machine()}, {run.processes} processes.",
        "",
        "| what | |",
        "|---|---|",
        f"| seeds | {found['seeds']:,} |",
        f"| seeds that broke a guarantee | {found['failed']:,} |",
        f"| commits checked | {found['transactions']:,} |",
        f"| faults that struck | {found['faults']:,} |",
        f"| of them with an effect | {found['felt']:,} |",
        f"| pairs of fault and point with an effect | {found['pairs_reached']} of {found['pairs']} |",
        f"| times the rarest of them had one | {found['fewest']:,} |",
        f"| processes killed | {found['killed']:,} |",
        f"| processes that ended by themselves | {found['exits']:,} |",
        f"| virtual time | {found['virtual_hours']:,} h |",
        f"| longest a fresh record took after the world was healed | {found['longest_fresh_s']:g} s |",
        f"| partitions of dead workers that others went on with, with nothing else wrong | {found['takeovers']:,} |",
        f"| longest a dead worker's partition waited, with nothing else wrong | {found['longest_takeover_s']:g} s |",
        f"| longest a worker held a revoke up | {found['longest_revoke_s']:g} s |",
        f"| finished segments that a next owner went on from | {found['resumed']:,} |",
        f"| time | {run.seconds:,.0f} s, {rate:,.0f} seeds a second |",
        "",
    )
    for seed, violation in run.tally.failures:
        yield f"- seed {seed}: {violation}"
    yield from ("", "How often each fault had an effect at each point, of how often it struck there:", "")
    yield "| | " + " | ".join(Point) + " |"
    yield "|---|" + "---:|" * len(Point)
    for kind in FaultKind:
        cells = (
            "" if pair in IMPOSSIBLE else f"{run.tally.felt[pair]:,} of {run.tally.struck[pair]:,}"
            for pair in ((kind, point) for point in Point)
        )
        yield f"| {kind} | " + " | ".join(cells) + " |"
    yield from ("", f"There are {len(PAIRS)} pairs. What cannot be:", "")
    for (kind, point), reason in IMPOSSIBLE.items():
        yield f"- {kind} at {point}: {reason}"


def commit() -> str:
    """The commit that was measured, and whether the tree differs from it."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git here)"
    return f"{head} with changes" if changed else head


def machine() -> str:
    """What it ran on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {sys.version.split()[0]}"


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)  # noqa: S607  # the user's own git
    return found.stdout.strip()
