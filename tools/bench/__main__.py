"""``python -m tools.bench``: run the benchmarks, and hold their ratios against reviewed bounds."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from streamproc.errors import StreamprocError
from tools.bench.bounds import BOUNDS, Subject, read_bounds
from tools.bench.figure import NoFigureError
from tools.bench.measured import Measured, measured
from tools.bench.report import table, write_report

_FELL_BACK = 1
_FAILED = 2

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    only: Annotated[list[str] | None, typer.Argument(help="These benchmarks alone; none: all of the bounds.")] = None,
    *,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each is run, all in turn.")] = 1,
    bounds: Annotated[Path, typer.Option(help="Which figures, and how far they may fall back.")] = BOUNDS,
    report: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
) -> None:
    """Run benchmarks one after the other and print their figures beside their bounds and goals.

    Exits with 1 when a ratio fell behind its bound, with 2 when a benchmark could not be run; the others are told.
    """
    console = Console()
    try:
        subjects = read_bounds(bounds)
        if unknown := set(only or ()) - set(subjects):
            raise typer.BadParameter(f"there is no {', '.join(sorted(unknown))}: {', '.join(subjects)}")
        chosen = {name: subject for name, subject in subjects.items() if not only or name in only}
        documents, failures = _play(chosen, rounds, Console(stderr=True))
    except StreamprocError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(_FAILED) from error
    found: list[Measured] = []
    for name, runs in documents.items():
        try:
            found += measured({name: chosen[name]}, {name: runs})
        except NoFigureError as error:
            failures.append(f"error: {name}: {error}")
    console.print(table(found))
    if report is not None and found:
        machines = [document["machine"] for runs in documents.values() for document in runs]
        write_report(report, found, machines, datetime.now(UTC))
    if failures:
        Console(stderr=True).print("\n".join(failures), style="red", markup=False, highlight=False)
        raise typer.Exit(_FAILED)
    raise typer.Exit(0 if all(one.held for one in found) else _FELL_BACK)


class BenchFailedError(StreamprocError):
    """A benchmark ended without a result."""


def _play(
    subjects: Mapping[str, Subject], rounds: int, console: Console
) -> tuple[Mapping[str, Sequence[dict[str, Any]]], list[str]]:
    """What each that could be run told, and what is to be said of runs that failed: hours of others stay."""
    documents: dict[str, list[dict[str, Any]]] = {}
    failures = []
    for turn in range(rounds):
        for name, subject in subjects.items():
            console.print(f"{name}, run {turn + 1} of {rounds}", highlight=False)
            try:
                documents.setdefault(name, []).append(_run(name, subject))
            except BenchFailedError as error:
                failures.append(f"error: {error}")
    return {name: runs for name, runs in documents.items() if runs}, failures


def _run(name: str, subject: Subject) -> dict[str, Any]:
    """What ``streamproc bench NAME --json`` prints; its progress goes to the terminal. Raises BenchFailedError."""
    # This program itself, with options out of a reviewed file.
    program = ("streamproc", "bench", name) if subject.module is None else (subject.module,)
    command = [sys.executable, "-m", *program, *subject.options, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    try:
        document = json.loads(done.stdout) if done.returncode == 0 else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        msg = f"{' '.join(program)} ended with status {done.returncode} and no result; what it said is above"
        raise BenchFailedError(msg)
    return document


if __name__ == "__main__":
    app()
