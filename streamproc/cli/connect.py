"""``streamproc connect``."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from streamproc.cli.speak import say
from streamproc.errors import ExitCode
from streamproc.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")]

connect = typer.Typer(
    name="connect",
    help="Kafka Connect: bring results, segments and dead letters to the warehouse.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@connect.command()
def apply(*, as_json: Json = False) -> None:
    """Make or change the connectors so that they are as this program and the settings say; start again what failed.

    Doing it again changes nothing. The login to the warehouse is tried from here, where `warehouse.password` is set.
    Exit code 0 only if all connectors run and that login, if tried, works.

    Example: `streamproc connect apply`
    """
    from streamproc.cli.connect_show import show_applied
    from streamproc.operate.warehouse.apply import apply as run_apply

    applied = run_apply(load_settings())
    show_applied(applied, as_json=as_json)
    if not all(one.well for one in applied):
        raise typer.Exit(ExitCode.OTHER)


@connect.command()
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False
) -> None:
    """Say what each connector does, how far it is behind, and what keeps rows from coming; nothing is changed.

    Behind is what is committed on its topic and not yet done, as Kafka Connect last told the brokers (each
    `offset.flush.interval.ms`), and for how long the oldest of it has waited. The login to the warehouse is tried from
    here, where `warehouse.password` is set. Exit code 0 only if all connectors run, the brokers tell how far they are,
    and that login, if tried, works.

    Example: `streamproc connect status --json`
    """
    from streamproc.cli.connect_show import show_status
    from streamproc.operate.warehouse.status import status as look
    from streamproc.telemetry.clock import SystemClock

    seen = look(load_settings(), SystemClock().wall_ms())
    show_status(seen, as_json=as_json)
    if not seen.well:
        raise typer.Exit(ExitCode.OTHER)


@connect.command()
def dead(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Of each partition, the last so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List what connectors could not read and put aside: where it was, why, and what to do.

    These are records of `emotion.results`, `emotion.segments` and the dead-letter topic that are no row; the times are
    the records' own. What is read again is put aside again, so a record may be here more than once.

    Example: `streamproc connect dead --limit 5`
    """
    from streamproc.cli.connect_show import show_dead
    from streamproc.operate.warehouse.aside import aside

    show_dead(aside(load_settings(), limit), as_json=as_json)


@connect.command()
def reread(
    name: Annotated[str, typer.Argument(help="A connector, as in emotion-results.")],
) -> None:
    """Let a connector read its topic from the first record that is kept.

    For rows that went to the connector's dead letters and would be taken now, as after an outage of the registry. Rows
    are upserted by their id, so none comes twice. Nothing is done while the registry is away. Records that `connect
    skip` has passed over are passed over again, each that still ends the connector: it is waited for until it is
    behind the last of them.

    Example: `streamproc connect reread emotion-results`
    """
    from streamproc.local.signals import interrupted_by_sigterm
    from streamproc.operate.warehouse.reread import read_again

    try:
        with interrupted_by_sigterm():
            read_again(load_settings(), name, lambda place: say(f"passed over again: {place}"))
    except KeyboardInterrupt:
        going = f"{name} goes on by itself; where records of it were skipped, up to the next of them"
        say(f"{going}: `streamproc connect reread {name}` begins again.", err=True)
        raise
    say(f"{name} reads its topic again. `streamproc connect status` tells what it does.")


@connect.command()
def skip(
    name: Annotated[str, typer.Argument(help="A connector, as in emotion-results.")],
    places: Annotated[list[str], typer.Argument(metavar="TOPIC/PARTITION/OFFSET...", help="Records to pass over.")],
) -> None:
    """Let a connector that failed go on behind a record that ends it each time it is read.

    A second connector reads the partition up to there, record by record: what lies before is written, the record is
    seen to end it, and what lies behind (with nothing behind: before) is seen not to. Else nothing is skipped, and it
    is said which record ends it. The log of `connect watch` names the places that a connector does not get past. What
    was skipped is kept with the connector: `connect reread` passes over it again.

    Example: `streamproc connect skip emotion-results emotion.results/3/1742`
    """
    from streamproc.local.signals import interrupted_by_sigterm
    from streamproc.operate.place import parse_place
    from streamproc.operate.warehouse.skip import pass_over

    with interrupted_by_sigterm():
        passed = pass_over(load_settings(), name, [parse_place(place) for place in places])
    told = ", ".join(map(str, passed.skipped))
    say(f"{name} goes on. Passed over: {len(passed.skipped)} ({told}). Read one by one before: {passed.read}.")


@connect.command()
def remove(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: none; those of other settings are listed.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Take connectors of these settings away too.")] = False,
    as_json: Json = False,
) -> None:
    """Take connectors away, as those of a warehouse.namespace that is no longer used; without a name, list these.

    Tables stay as they are. The offsets that a connector has read to stay too, so that one that is made anew goes on
    there, but not what `connect skip` told it: that is named. Those of the present settings are taken with --yes alone.
    Connectors of other programs are neither listed nor taken.

    Example: `streamproc connect remove old-emotion-results`
    """
    from streamproc.operate.warehouse.remove import others, remove_named

    settings = load_settings()
    if names:
        wanted = list(dict.fromkeys(names))
        gone = remove_named(settings, wanted, current=yes)
        say(f"Taken away: {', '.join(wanted)}. Tables stay.")
        if gone:
            say(f"With them went what was skipped: {', '.join(map(str, gone))}.")
    else:
        _show_others(others(settings), as_json=as_json)


@connect.command()
def watch() -> None:
    """Keep the connectors going until told to stop: start again what failed, which Kafka Connect does not do.

    Runs beside Kafka Connect, for as long as it does; `streamproc up --with warehouse` starts one. A task that fails
    again and again is started after 2 s, 4 s and so on, up to 60 s, and the log says which records it does not get
    past; none that needs the registry is started while that is away. Answers /metrics, /healthz, /readyz (all
    connectors run) and /status over HTTP (http.host, http.port).

    Example: `streamproc connect watch`
    """
    from streamproc.telemetry.voice import configure_log
    from streamproc.wiring import run_watch

    settings = load_settings()
    configure_log(settings.log)
    run_watch(settings)


def _show_others(found: Any, *, as_json: bool) -> None:
    from rich.table import Table

    from streamproc.cli.console import answers

    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
    elif not found:
        say("There is no connector of other settings. Those of these: `streamproc connect status`.")
    else:
        table = Table("connector", "topic", "table", "state", box=None, padding=(0, 2, 0, 0))
        for one in found:
            table.add_row(one.name, one.topic, one.table, one.state)
        answers().print(table)
        say("Not of these settings. `streamproc connect remove NAME` takes one away.")
