"""``streamproc demo``."""

import json
from typing import Annotated

import typer

from streamproc.cli.speak import program
from streamproc.errors import ExitCode
from streamproc.settings import load_settings


def demo(
    *,
    warehouse: Annotated[
        bool, typer.Option("--warehouse", help="Bring the results to PostgreSQL too, and ask it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Run the whole thing once on real servers, with recordings that ship with the package.

    Starts the servers that do not run, announces 28 recordings of synthetic speech and some trouble (repeats,
    silence, damaged files, a missing object, a record that is not Avro), runs a worker on the demo checkpoint, reads
    what it made, and checks that every input offset ended as it must. Stops what it started. Uses topics, a group
    and a folder of its own, all named demo.

    With `--warehouse` Kafka Connect brings results, segments and dead letters to PostgreSQL, and three of an analyst's
    questions are answered from there.

    Exit code 0 only if everything ended as expected.

    Example: `streamproc demo`
    """
    from rich.console import Console

    from streamproc.demo.run import run_demo
    from streamproc.demo.show import as_json as to_json
    from streamproc.demo.show import go_on, show
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    more = None
    if warehouse:
        from streamproc.operate.warehouse.extra import need_client

        need_client()
        from streamproc.demo.warehouse import DemoWarehouse

        more = DemoWarehouse()
    with LiveProgress() as progress:
        run = run_demo(settings, progress.server, progress.count, more)
    if as_json:
        typer.echo(json.dumps(to_json(run), default=str, ensure_ascii=False))
    else:
        console = Console()
        show(run, console)
        console.print(go_on(program(), warehouse=warehouse))
    if run.tally.problems():
        raise typer.Exit(ExitCode.OTHER)
