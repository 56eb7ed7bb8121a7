"""``python -m streamproc.testing.simulation``: play seeds, or one of them with its history."""

import gc
import json
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamproc.errors import UsageError
from streamproc.testing.simulation.fault import FaultKind, Point
from streamproc.testing.simulation.kept import keep, recall
from streamproc.testing.simulation.patience import simulate_patiently
from streamproc.testing.simulation.report import Run, commit, write_report
from streamproc.testing.simulation.simulation import Found, simulate
from streamproc.testing.simulation.tally import Tally, tally

_CHUNK = 50
_FEW = 20
"""Seeds that are begun at a time when the first failure ends it all."""
_FAILED = 1
_STOPPED = 130

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(  # noqa: PLR0913, PLR0917  # one for each option
    seed: Annotated[int | None, typer.Option(min=0, help="Play this seed alone and show its history.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to play.")] = 20_000,
    first: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    processes: Annotated[int, typer.Option(min=1, help="How many to play at a time.")] = os.cpu_count() or 1,
    until_failed: Annotated[bool, typer.Option("--until-failed", help="Stop at the first seed that fails.")] = False,  # noqa: FBT002  # a flag
    floor: Annotated[int, typer.Option(min=0, help="How often each fault must have an effect at each point.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write a report to this file.")] = None,
    kept: Annotated[
        Path | None, typer.Option("--keep", help="Keep in this file what was played: the next run goes on from there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,  # noqa: FBT002  # a flag
) -> None:
    """Play schedules of whole workers against the guarantees; exits with 1 when one does not hold, or under --floor.

    A seed decides everything: what is announced, which fault strikes where, which thread goes next. So a seed that
    fails here fails anywhere, and ``--seed`` shows what happened in it. Ctrl-C ends a long run with what it has; with
    ``--keep`` the same command goes on from there.
    """
    _be_silent()
    if seed is not None:
        if as_json or report is not None or kept is not None:
            raise typer.BadParameter("--seed shows one seed's history; --json, --report and --keep are for many")
        raise typer.Exit(_show(seed))
    if report is not None:
        _check(report)
    program = commit()
    total, before_s = _recall(kept, program, first)
    began, stopped = time.monotonic() - before_s, False
    try:
        for part in _play(first, seeds, total.seeds, processes, until_failed=until_failed, quiet=as_json):
            total.join(part)
            if kept is not None:
                keep(kept, program, first, time.monotonic() - began, total)
    except KeyboardInterrupt:
        stopped = True  # what was played until now counts
    run = Run(first, processes, time.monotonic() - began, total)
    missed = [] if stopped else total.below(floor)
    print(json.dumps(total.as_json(floor)) if as_json else _text(run, missed, stopped=stopped))  # noqa: T201  # the answer
    if stopped and kept is not None:
        print(f"kept in {kept}: the same command goes on from there", file=sys.stderr)  # noqa: T201  # for people
    elif report is not None and total.seeds:
        write_report(report, run)
    if kept is not None and not stopped:
        kept.unlink(missing_ok=True)
    raise typer.Exit(_FAILED if total.failed or missed else _STOPPED if stopped else 0)


def _recall(kept: Path | None, program: str, first: int) -> tuple[Tally, float]:
    try:
        return (Tally(), 0.0) if kept is None else recall(kept, program, first)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


def _check(report: Path) -> None:
    """Find out now that a report cannot be written, and not after a million seeds."""
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.open("a"):
            pass
    except OSError as error:
        raise typer.BadParameter(f"no report can be written to {report}: {error.strerror}") from None


def _play(first: int, seeds: int, played: int, processes: int, *, until_failed: bool, quiet: bool) -> Iterator[Tally]:
    size, play = (_FEW, _until_failed) if until_failed else (_CHUNK, _chunk)
    chunks = [(start, min(size, first + seeds - start)) for start in range(first + played, first + seeds, size)]
    bar = Progress(
        TextColumn("seeds"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
    with bar, multiprocessing.get_context("fork").Pool(processes, _begin) as pool:
        task = bar.add_task("seeds", total=seeds, completed=played)
        for part in pool.imap(play, chunks):  # in order, so that the first failure is always the same
            bar.advance(task, part.seeds)
            yield part
            if until_failed and part.failed:
                return


def _begin() -> None:
    """Prepare a process. Worlds are small and full of cycles: the collector need not look every few hundred objects."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the command, which ends us
    gc.freeze()
    gc.set_threshold(100_000)
    structlog.configure(cache_logger_on_first_use=True)  # for good, so only where nothing else runs


def _chunk(chunk: tuple[int, int]) -> Tally:
    start, count = chunk
    return tally(simulate_patiently(seed) for seed in range(start, start + count))


def _until_failed(chunk: tuple[int, int]) -> Tally:
    total = Tally()
    for seed in range(chunk[0], sum(chunk)):
        total.add(simulate_patiently(seed))
        if total.failed:
            break
    return total


def _show(seed: int) -> int:
    found = simulate(seed, lambda at, what: print(f"{at:9.4f}  {what}"))  # noqa: T201  # the history
    print(_one(found))  # noqa: T201  # the answer
    return _FAILED if found.violation else 0


def _one(found: Found) -> str:
    verdict = found.violation or "every guarantee held"
    return f"seed {found.seed}: {verdict} ({found.transactions} commits, {found.virtual_s:.2f} s, {found.digest[:16]})"


def _text(run: Run, missed: Sequence[tuple[FaultKind, Point]], *, stopped: bool) -> str:
    found = run.tally.as_json(0)
    lines = [
        f"{found['seeds']:,} seeds in {run.seconds:,.1f} s{', then stopped' if stopped else ''}",
        f"{found['transactions']:,} commits checked",
        f"{found['faults']:,} faults struck, {found['felt']:,} of them had an effect",
        f"{found['pairs_reached']} of {found['pairs']} pairs of fault and point, the rarest {found['fewest']:,} times",
        *(f"seed {seed}: {violation}" for seed, violation in run.tally.failures),
        *(f"{kind} at {point} had an effect less often than --floor asks" for kind, point in missed),
        f"{found['failed']:,} seeds broke a guarantee" if run.tally.failed else "every guarantee held",
    ]
    if run.tally.failures:
        lines.append(f"play it again: make simulate SEED={run.tally.failures[0][0]}")
    return "\n".join(lines)


def _be_silent() -> None:
    """The workers' own log says nothing that the history does not, a million times."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of text are walked in an order that differs between processes otherwise: a seed must decide everything.
        again = [sys.executable, "-m", "streamproc.testing.simulation", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606  # ourselves
    app()
