"""``python -m tools.parity``: the engine against FunASR, one file at a time, over many clips in many batches."""

import resource
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from streamproc.bench.machine import look
from streamproc.cores import cores
from tools.parity.clips import LONGEST_S, choose
from tools.parity.compare import compare
from tools.parity.plan import plan
from tools.parity.report import Run, verdict, write_report
from tools.parity.subjects import SUBJECTS, directory
from tools.parity.tally import Tally

CLIPS = 320
SEED = 5
PACKAGES = ("torch", "numpy", "funasr")
_BROKEN = 1

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[list[str] | None, typer.Option(help="Compare this model alone; may be given again.")] = None,
    clips: Annotated[int, typer.Option(min=2, help="How many clips, the edges first.")] = CLIPS,
    longest: Annotated[float, typer.Option(min=0.1, help="Seconds of the longest clip.")] = LONGEST_S,
    seed: Annotated[int, typer.Option(help="Of weights, clips and batches.")] = SEED,
    threads: Annotated[int, typer.Option(min=0, help="Threads of both; 0: all cores.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write a report to this file.")] = None,
) -> None:
    """Compare frames, embeddings and scores with FunASR's, and with the engine's own for each clip alone.

    Exits with 1 if a bound was broken, or if a bound that holds would prove nothing.
    """
    console = Console(stderr=True)
    names = [subject.name for subject in SUBJECTS]
    if unknown := set(model or names) - set(names):
        raise typer.BadParameter(f"there is no model {', '.join(unknown)}: {', '.join(names)}")
    machine, threads, began = look(PACKAGES), threads or cores(), time.monotonic()
    torch.set_num_threads(threads)
    rounds = plan(choose(clips, seed, longest), seed)
    tallies: list[Tally] = []
    faults: list[str] = []
    with _bar(console) as bar:
        for subject in SUBJECTS:
            if model and subject.name not in model:
                continue
            task = bar.add_task(subject.name, total=sum(one.seconds for one in rounds))
            with directory(subject, seed) as path:
                tally = compare(subject.name, path, rounds, seed, threads, partial(bar.advance, task))
            tallies.append(tally)
            worst = max(row.of_bound for row in tally.rows())
            console.print(f"{tally.name}: {tally.clips:,} clips, at most {worst:.0%} of a bound", highlight=False)
            faults += tally.faults(subject.parameters, random_weights=subject.config is not None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    run = Run(machine, seed, threads, time.monotonic() - began, peak, tallies, faults)
    if report is not None:
        write_report(report, run)
    for fault in faults:
        console.print(fault, markup=False, highlight=False)
    console.print(f"{verdict(run)}: {sum(tally.clips for tally in tallies):,} clips in {run.seconds:,.0f} s")
    raise typer.Exit(_BROKEN if faults else 0)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)


if __name__ == "__main__":
    app()
