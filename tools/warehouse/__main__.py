"""``python -m tools.warehouse``: take PostgreSQL, the registry and Connect away under load, and count the rows."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streamproc.testing.simulation.report import commit, machine
from tools.warehouse.outages import A_SECOND, IN_A_TRANSACTION, Run, run

AWAY_S = 30.0

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    away: Annotated[float, typer.Option(min=1, help="Seconds that each server is away.")] = AWAY_S,
    report: Annotated[Path | None, typer.Option(help="Write a report to this file, if all went well.")] = None,
) -> None:
    """Write while one server after the other is killed and comes back.

    Exits with 1 unless everything committed is one row with its values, each connector runs without a hand, and nothing
    is in their dead letters.
    """
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="warehouse-") as folder:
        done = run(Path(folder), away, console.print)
    text = "\n".join(_lines(done)) + "\n"
    print(text)
    if not done.good:
        raise typer.Exit(1)
    if report is not None and away < AWAY_S:
        console.print(f"{report} is left as it is: outages of {AWAY_S:.0f} s and more are for it.")
    elif report is not None:
        report.write_text(text, "utf-8")


def _lines(done: Run) -> Iterator[str]:
    yield from (
        "# Results on their way to a warehouse: outages",
        "",
        f"Written by `make integration`. Commit {commit()}, {machine()}, {done.wall_s:,.0f} s.",
        "",
        f"{A_SECOND} results a second with a segment each, and {A_SECOND / IN_A_TRANSACTION:.0f} dead letters, in",
        f"transactions of {IN_A_TRANSACTION} results, go through a real Kafka Connect to a real PostgreSQL. One server",
        "after the other is ended by SIGKILL, with its children, and started again as it was. `connect watch` looks",
        "after the connectors; nobody else does. Every column of every row is compared with what was committed.",
        "",
        "| table | committed | rows | problems |",
        "|---|---|---|---|",
        *(f"| {one.name} | {one.committed:,} | {one.rows:,} | {len(one.problems)} |" for one in done.tables),
        "",
        f"**{done.dead_letters} dead letters of the connectors; at the end all connectors",
        f"{'run' if done.running else 'DO NOT run'}.** The watch started a task again {done.restarts} times.",
        "",
        *(f"- {one.name}: {problem}" for one in done.tables for problem in one.problems),
        "Behind: results that had no row when the server was back. Caught up: seconds from then until they had.",
        "",
        "| killed | away, s | rows before | behind | caught up, s | connectors then |",
        "|---|---|---|---|---|---|",
    )
    for one in done.outages:
        states = ", ".join(sorted(set(one.states.values())))
        told = (f"{one.away_s:.0f}", f"{one.rows_before:,}", f"{one.behind:,}", f"{one.caught_up_s:.1f}", states)
        yield f"| {one.server} | {' | '.join(told)} |"
    rows = done.tables[0].rows
    yield from ("", f"Emptied, the table of results was whole again {done.again_s:.1f} s after `connect reread`:")
    yield f"{rows / done.again_s:,.0f} rows a second by one task, its start included."
    yield from ("", "The worker's part, which is apart, is `processing_ms` of each result.", "")
    yield from ("| seconds from result to row | p50 | p95 | longest |", "|---|---|---|---|")
    for name, seconds in (("before the first outage", done.quiet), ("outages included", done.whole)):
        yield f"| {name} | {seconds['p50']:.2f} | {seconds['p95']:.2f} | {seconds['longest']:.2f} |"


if __name__ == "__main__":
    app()
