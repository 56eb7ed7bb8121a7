"""``streamproc warehouse``."""

import json
from typing import Annotated

import typer

from streamproc.settings import load_settings

warehouse = typer.Typer(
    name="warehouse",
    help="Results in the database: what an analyst asks, and the answers.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@warehouse.command()
def ask(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[angry|turned|coverage|slowest|dead]...", help="Default: all.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a question.")] = False,
) -> None:
    """Ask questions over the warehouse's tables, by views that are made where they are missing, and show the answers.

    Share of angry by hour and queue, calls that turned from neutral to angry, coverage by version of the model, slowest
    recordings, dead letters by reason. The views and the SQL of the questions are in `infra/connect`. A table comes
    with its first row: until then the questions that need it say so, and the others are answered.

    Example: `streamproc warehouse ask angry slowest`
    """
    from streamproc.cli.console import answers
    from streamproc.operate.warehouse.extra import need_client

    need_client()
    from streamproc.operate.warehouse.questions import NAMES
    from streamproc.operate.warehouse.questions import ask as run_ask
    from streamproc.operate.warehouse.shown import answer_table, plain

    console = answers()
    for number, answer in enumerate(run_ask(load_settings().warehouse, list(dict.fromkeys(names or NAMES)))):
        if as_json:
            rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
            said = {"question": answer.question.name, "rows": rows, "missing": answer.missing}
            typer.echo(json.dumps(said, default=plain, ensure_ascii=False))
        else:
            if number:
                typer.echo()
            console.print(answer_table(answer))
