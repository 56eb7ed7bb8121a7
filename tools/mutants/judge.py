"""Looking at mutants: first at the program as it is, then at each of them in a copy of its own."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tools.mutants import killers
from tools.mutants.mutant import Killer, Mutant, NamedTests, Simulator
from tools.mutants.tree import tree
from tools.mutants.verdict import Fate, Judged, Verdict


class UnfitKillerError(Exception):
    """Raised when a killer finds something in the program as it is: every mutant would die by it."""


def judge(mutants: Sequence[Mutant], root: Path, jobs: int, console: Console) -> tuple[Sequence[Judged], float]:
    """Look at each mutant of what is in ``root``; what became of it, and how long all took (s).

    Raises StaleMutantError and UnfitKillerError before anything is broken.
    """
    began = time.monotonic()
    for mutant in mutants:
        mutant.check(root)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    with bar, ThreadPoolExecutor(jobs) as pool:
        baseline = tuple(_baseline(mutants))
        task = bar.add_task("killers on the program as it is", total=len(baseline))
        for killer in baseline:
            _must_be_silent(killer, root, jobs)
            bar.advance(task)
        task = bar.add_task("mutants", total=len(mutants))

        def one(mutant: Mutant) -> Judged:
            verdict = _verdict(mutant, root)
            bar.advance(task)
            return mutant, verdict

        judged = tuple(pool.map(one, mutants))
    return judged, time.monotonic() - began


def _baseline(mutants: Sequence[Mutant]) -> Iterator[Killer]:
    """Everything that the killers do, each once."""
    wanted = [mutant.killer for mutant in mutants]
    if seeds := [killer.seeds for killer in wanted if isinstance(killer, Simulator)]:
        yield Simulator(max(seeds))
    paths = dict.fromkeys(path for killer in wanted if isinstance(killer, NamedTests) for path in killer.paths)
    if paths:
        yield NamedTests(tuple(paths))


def _must_be_silent(killer: Killer, root: Path, processes: int) -> None:
    with tree(root) as folder:
        verdict = killers.run(killer, folder, processes)
    if verdict.fate is not Fate.ALIVE:
        raise UnfitKillerError(f"{killer} on the program as it is: {verdict.fate}, {verdict.by}: {verdict.how}")


def _verdict(mutant: Mutant, root: Path) -> Verdict:
    with tree(root) as folder:
        try:
            mutant.apply(folder)
        except SyntaxError as error:
            return Verdict(Fate.BROKEN, "not Python", str(error))
        return killers.run(mutant.killer, folder, processes=1)
