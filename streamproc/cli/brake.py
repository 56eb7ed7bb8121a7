"""``streamproc brake``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from streamproc.cli.speak import say
from streamproc.errors import ExitCode
from streamproc.settings import load_settings

Workers = Annotated[
    list[str] | None,
    typer.Option("--worker", metavar="HOST:PORT", help="A worker's address; may be given again. Default: http.host."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for each worker.")]

brake = typer.Typer(name="brake", rich_markup_mode="markdown")


@brake.callback(invoke_without_command=True)
def show(ctx: typer.Context, *, worker: Workers = None, as_json: Json = False) -> None:
    """Show the brake of workers: on or off, since when, how many dead letters among how many records.

    A worker takes no more records when most of them become dead letters (section `brake` of the settings), stays in
    its group, and goes on by itself once the newest records are well. Exit code 3 when a worker does not answer.

    Example: `streamproc brake --worker 10.0.0.7:9464 --worker 10.0.0.8:9464`
    """
    if ctx.invoked_subcommand is not None:
        return
    from streamproc.errors import DependencyDownError
    from streamproc.operate.brake import look

    missing, on = [], False
    for address in _addresses(worker):
        try:
            found = look(address)
        except DependencyDownError as error:
            missing.append(error)
            continue
        on = on or found.on
        typer.echo(json.dumps(asdict(found)) if as_json else found.line)
    if on and not as_json:
        say("`streamproc dlq stats --since 1h` tells why; `streamproc brake release` takes records again.")
    _tell(missing)


@brake.command()
def release(*, worker: Workers = None, as_json: Json = False) -> None:
    """Let workers take records again, whatever the newest records come to.

    They count from nothing, so a cause that is not healed turns the brake on again after as many dead letters.

    Example: `streamproc brake release --worker 10.0.0.7:9464`
    """
    from streamproc.errors import DependencyDownError
    from streamproc.operate.brake import release as ask_to_release

    missing = []
    for address in _addresses(worker):
        try:
            released = ask_to_release(address)
        except DependencyDownError as error:
            missing.append(error)
            continue
        if as_json:
            typer.echo(json.dumps({"worker": address, "released": released}))
        else:
            typer.echo(f"{address}: {'released' if released else 'was off'}")
    _tell(missing)


def _addresses(given: list[str] | None) -> Sequence[str]:
    from streamproc.operate.endpoint import local_worker

    return given or [local_worker(load_settings().http)]


def _tell(missing: Sequence[Exception]) -> None:
    for error in missing:
        typer.echo(str(error), err=True)
    if missing:
        raise typer.Exit(ExitCode.DEPENDENCY_DOWN)
