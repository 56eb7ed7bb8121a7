"""All commands joined, and the one place where an error becomes a line and an exit code."""

import logging
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from streamproc import __version__
from streamproc.cli import INTERRUPTED, SAYS
from streamproc.cli.analytics import analytics
from streamproc.cli.audit import audit
from streamproc.cli.bench import bench
from streamproc.cli.bench_cached import cached
from streamproc.cli.bench_long import long
from streamproc.cli.bench_worker import device, fresh, latency, memory, scale
from streamproc.cli.brake import brake
from streamproc.cli.connect import connect
from streamproc.cli.demo import demo
from streamproc.cli.dlq import dlq
from streamproc.cli.doctor import doctor
from streamproc.cli.down import down
from streamproc.cli.forget import forget
from streamproc.cli.interrupt import soon_over
from streamproc.cli.model import model
from streamproc.cli.publish import publish
from streamproc.cli.report import report
from streamproc.cli.results import results
from streamproc.cli.schemas import schemas
from streamproc.cli.speak import LOGS, Warnings, say, with_program
from streamproc.cli.status import status
from streamproc.cli.top import top
from streamproc.cli.up import up
from streamproc.cli.warehouse import warehouse
from streamproc.cli.why import why
from streamproc.cli.worker import worker
from streamproc.errors import (
    DependencyDownError,
    DependencyRefusesError,
    ExitCode,
    FatalError,
    NoRestartError,
    StreamprocError,
)

NEXT: Mapping[type[StreamprocError], str] = MappingProxyType(
    {
        NoRestartError: "Do not start it again before the cause is healed.",
        FatalError: "Start it again; nothing is lost, it goes on where that ended.",
        DependencyRefusesError: "Is the address the right one, and that server well? `streamproc doctor` looks at all.",
        DependencyDownError: "`streamproc status` tells what runs here; `streamproc up` starts what is missing.",
    }
)
"""What to do next, for errors whose text cannot know it; the first that fits."""
UP_WAREHOUSE = "`streamproc status` tells what runs here; `streamproc up --with warehouse` starts what is missing."
"""The same for a server that `up` alone does not start."""


class Commands(TyperGroup):
    """The group of all commands."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's own name of what it passes
        """Run a command; what it raises on purpose becomes its exit code."""
        try:
            return super().invoke(ctx)
        except StreamprocError as error:
            if ctx.params["debug"]:
                raise
            _tell("worker" if ctx.invoked_subcommand == "worker" else ctx.meta.get(LOGS), error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo(SAYS, err=True, nl=False)
            raise typer.Exit(INTERRUPTED) from None


def _tell(service: str | None, error: StreamprocError) -> None:
    """Say what went wrong and what to do. A service that nobody watches says it as a line of its log."""
    following = next((text for kind, text in NEXT.items() if isinstance(error, kind)), "")
    if type(error) is DependencyDownError and error.dependency in {"warehouse", "kafka connect"}:
        following = UP_WAREHOUSE
    if service is not None and not sys.stderr.isatty():
        from streamproc.telemetry.log import get_log

        cause = {"cause": error.cause} if isinstance(error, FatalError) else {}
        detail = with_program(f"{error}. {following}".rstrip())
        get_log(__name__).error(f"{service} ended", error=type(error).__name__, detail=detail, **cause)
    else:
        typer.secho("error: ", err=True, nl=False, fg="red", bold=True)
        say("\n".join(filter(None, (str(error), following))), err=True)


app = typer.Typer(
    name="streamproc",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # its tracebacks show the values of variables: secrets live there
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamproc {__version__}")
        raise typer.Exit(ExitCode.DONE)


# What the group itself reads: `debug` is taken from the context where errors are told, `version` acts by its callback.
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Version = Annotated[
    bool,
    typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True, help="Show the version."),
]


@app.callback()
def root(
    ctx: typer.Context,
    *,
    debug: Debug = False,  # noqa: ARG001  # see above
    version: Version = False,  # noqa: ARG001  # see above
) -> None:
    """Recordings in, emotion results out, exactly once.

    Recordings lie in an S3 bucket, events about them on a Kafka topic; workers turn each event into one result.
    Start with `streamproc demo`: it shows all of it on this computer.

    Settings come from STREAMPROC_SECTION__NAME variables, from `.streamproc/local.env` (written by `up`) and from
    the TOML file that STREAMPROC_CONFIG names, the first of them that has one. Exit codes: 0 done, 2 wrong use or
    settings, 3 a server is away, 4 fatal (start again), 5 do not start again, 1 anything else.
    """
    # What libraries say goes to the worker's log; people are told by the errors that commands raise.
    logging.getLogger().addHandler(logging.NullHandler())
    if ctx.invoked_subcommand != "worker":  # which has a log
        settings, warnings = logging.getLogger("streamproc.settings"), Warnings()
        settings.addHandler(warnings)
        ctx.call_on_close(lambda: settings.removeHandler(warnings))


READING = (status, results, audit, why, doctor, top, report)
"""They leave nothing half done, wherever they end."""
for _command in (up, down, status, demo, worker, publish, results, audit, why, forget, doctor, top, report):
    app.command()(soon_over()(_command) if _command in READING else _command)
for _command in (cached, fresh, device, latency, long, memory, scale):
    bench.command()(_command)
app.add_typer(model)
app.add_typer(bench)
app.add_typer(dlq)
app.add_typer(brake)
app.add_typer(analytics)
app.add_typer(schemas)
app.add_typer(connect)
app.add_typer(warehouse)
