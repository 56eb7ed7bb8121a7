"""``python -m tools.mutants``: break the program on purpose, one mistake at a time, and see each found."""

import json
import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tools.mutants.catalogue import MUTANTS
from tools.mutants.judge import UnfitKillerError, judge
from tools.mutants.mutant import StaleMutantError, find
from tools.mutants.report import as_json, how, summary, write_report
from tools.mutants.tree import ROOT
from tools.mutants.verdict import Fate, Judged

_NOT_ALL = 1
_UNKNOWN = 2
_MOST_NEAR = 5

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    only: Annotated[list[str] | None, typer.Option(help="Look at this mutant alone; may be given again.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many to look at at a time.")] = os.cpu_count() or 1,
    report: Annotated[Path | None, typer.Option(help="Write a report to this file.")] = None,
    json_wanted: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,  # noqa: FBT002  # a flag
    list_wanted: Annotated[bool, typer.Option("--list", help="Name the mutants, and break nothing.")] = False,  # noqa: FBT002  # a flag
) -> None:
    """Break the program on purpose and see each mistake found by whoever is to find it.

    Exits with 1 unless every mutant died, with 2 when that cannot be found out: a mutant's old text is gone, or a
    killer finds something in the program as it is, or nobody has the name.
    """
    if list_wanted:
        for mutant in MUTANTS:
            print(f"{mutant.name}: {mutant.stands_for}")
        return
    console = Console(stderr=True)
    try:
        mutants = find(MUTANTS, only) if only else MUTANTS
    except KeyError as error:
        raise typer.BadParameter(f"there is no mutant {error}{_near(*error.args)}") from None
    try:
        judged, seconds = judge(mutants, ROOT, jobs, console)
    except (StaleMutantError, UnfitKillerError) as error:
        console.print(str(error), markup=False, highlight=False)
        raise typer.Exit(_UNKNOWN) from None
    if report is not None:
        write_report(report, judged, seconds)
    if json_wanted:
        print(json.dumps(as_json(judged)))
    else:
        _show(judged, Console())
    raise typer.Exit(0 if all(verdict.fate is Fate.DEAD for _, verdict in judged) else _NOT_ALL)


def _near(name: str) -> str:
    """The names that may have been meant: they look like it, or have one of its words."""
    names = [mutant.name for mutant in MUTANTS]
    words = set(name.lower().split())
    near = dict.fromkeys(get_close_matches(name, names) + [one for one in names if words & set(one.lower().split())])
    return f"; near it: {', '.join(list(near)[:_MOST_NEAR])}" if near else "; --list names them"


def _show(judged: Sequence[Judged], console: Console) -> None:
    table = Table("mutant", "killer", "fate", "by", "seconds", "how")
    for mutant, verdict in judged:
        row = (mutant.name, str(mutant.killer), verdict.fate, verdict.by, f"{verdict.seconds:.1f}", how(verdict))
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(table)
    console.print(summary(judged))


if __name__ == "__main__":
    app()
