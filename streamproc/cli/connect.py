"""``streamproc connect``."""

from typing import Annotated

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

    Doing it again changes nothing. Exit code 0 only if all of them run.

    Example: `streamproc connect apply`
    """
    from streamproc.cli.connect_show import show_applied
    from streamproc.operate.warehouse.apply import apply as run_apply

    applied = run_apply(load_settings())
    show_applied(applied, as_json=as_json)
    if not all(one.state.running for one in applied):
        raise typer.Exit(ExitCode.OTHER)


@connect.command()
def status(*, as_json: Json = False) -> None:
    """Say what each connector does, how far it is behind, and what keeps rows from coming; nothing is changed.

    Behind is what is committed on its topic and not yet done, as Kafka Connect last told the brokers (each
    `offset.flush.interval.ms`), and for how long the oldest of it has waited. The login to the warehouse is tried from
    here, where `warehouse.password` is set. Exit code 0 only if all connectors run and that login, if tried, works.

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
    are upserted by their id, so none comes twice. Nothing is done while the registry is away.

    Example: `streamproc connect reread emotion-results`
    """
    from streamproc.operate.warehouse.apply import read_again as run_read_again

    run_read_again(load_settings(), name)
    say(f"{name} reads its topic again. `streamproc connect status` tells what it does.")


@connect.command()
def skip(
    name: Annotated[str, typer.Argument(help="A connector, as in emotion-results.")],
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="The last record to pass over.")],
) -> None:
    """Let a connector go on behind a record that ends it each time it is read.

    That record is no row then, and neither is what the connector had not yet read of the partition before it. The log
    of `connect watch` names the places that a connector does not get past.

    Example: `streamproc connect skip emotion-results emotion.results/3/1742`
    """
    from streamproc.operate.place import parse_place
    from streamproc.operate.warehouse.apply import pass_over

    pass_over(load_settings(), name, parse_place(place))
    say(f"{name} goes on behind {place}. `streamproc connect status` tells what it does.")


@connect.command()
def watch() -> None:
    """Keep the connectors going until told to stop: start again what failed, which Kafka Connect does not do.

    Runs beside Kafka Connect, for as long as it does; `streamproc up --with warehouse` starts one. A task that fails
    again and again is started after 2 s, 4 s and so on, up to 60 s, and the log says which records it does not get
    past; none that needs the registry is started while that is away. Answers /metrics, /healthz, /readyz (all
    connectors run) and /status over HTTP (http.host, http.port).

    Example: `streamproc connect watch`
    """
    from streamproc.telemetry.log import configure_log
    from streamproc.wiring import run_watch

    settings = load_settings()
    configure_log(settings.log)
    run_watch(settings)
