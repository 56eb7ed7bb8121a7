"""``streamproc schemas``."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from streamproc.cli.speak import say
from streamproc.errors import ExitCode
from streamproc.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")]

schemas = typer.Typer(
    name="schemas",
    help="The records' schemas in the registry: put them there, or say what it has.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@schemas.command()
def push(*, as_json: Json = False) -> None:
    """Register this program's schemas, each under its topic's subject and with its compatibility rule.

    A deploy step, before workers of a new version start: they only look schemas up. Doing it again changes nothing. A
    schema that its rule does not allow after those that are there is refused (exit code 2).

    Example: `streamproc schemas push`
    """
    from streamproc.kafka.own_schemas import register_schemas, registered_schemas
    from streamproc.kafka.registry import connect

    settings = load_settings()
    with connect(settings.registry) as registry:
        register_schemas(registry, settings.topics)
        _show(registered_schemas(registry, settings.topics), as_json=as_json)


@schemas.command()
def check(*, as_json: Json = False) -> None:
    """Say which of this program's schemas the registry has, and under which rule; nothing is changed.

    `registered as` is the registry's own count of a subject's versions, which is not that of docs/schemas.md. Exit
    code 0 only if it has all, and holds each subject's next version to the rule that this program sets. A version that
    came after this program's is told, and is no error: a newer one may run beside this.

    Example: `streamproc schemas check`
    """
    from streamproc.kafka.own_schemas import registered_schemas
    from streamproc.kafka.registry import connect

    settings = load_settings()
    with connect(settings.registry) as registry:
        found = registered_schemas(registry, settings.topics)
    _show(found, as_json=as_json)
    if not as_json:
        _tell_later(found)
    if not all(one.good for one in found):
        if not as_json:
            say("`streamproc schemas push` registers what is missing, and sets the rules.", err=True)
        raise typer.Exit(ExitCode.OTHER)


def _show(found: Any, *, as_json: bool) -> None:
    from rich.table import Table

    from streamproc.cli.console import answers

    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
        return
    table = Table("subject", "schema", "registered as", "id", "rule", box=None, padding=(0, 2, 0, 0))
    for one in found:
        missing = one.schema_id is None
        numbers = ("-", "[red]missing[/]") if missing else (f"version {one.version}", str(one.schema_id))
        instead = "" if one.rule == one.compatibility else f" [red]instead of {one.compatibility}[/]"
        table.add_row(one.subject, one.row, *numbers, f"{one.rule or '-'}{instead}")
    answers().print(table)


def _tell_later(found: Any) -> None:
    """Of whose schema the newest version of a subject is, if it is not this program's."""
    for one in found:
        if one.latest == one.version:
            continue
        other = "of another version of streamproc, or of another program: look at it"
        if one.schema_id is None:
            allowed = "`streamproc schemas push` adds this version's if the rule allows"
            say(f"{one.subject}: version {one.latest} is {other}; {allowed}.", err=True)
        else:
            say(f"{one.subject}: version {one.latest} came after this program's {one.version}, {other}.", err=True)
