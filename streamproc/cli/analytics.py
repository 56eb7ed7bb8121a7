"""``streamproc analytics``."""

from typing import Annotated

import typer

from streamproc.cli.speak import LOGS
from streamproc.errors import UsageError
from streamproc.settings import LogSettings, load_settings

analytics = typer.Typer(name="analytics", invoke_without_command=True)


def _installed() -> None:
    """Raise UsageError without the extra."""
    from importlib.util import find_spec

    if find_spec("faust") is None:
        raise UsageError("the analytics app needs faust-streaming: pip install '.[analytics]' in its environment")


@analytics.callback()
def run(ctx: typer.Context) -> None:
    """Keep windows over the results, write trends and alerts, answer queries, until told to stop.

    Reads topics.results and topics.segments, writes topics.trends and topics.alerts. Any number of processes share the
    work (analytics.group); each answers for all on analytics.host and analytics.port, with a page at /. A supervisor
    should start it again unless the exit code is 0, 2 or 5.

    Example: `STREAMPROC_ANALYTICS__PORT=9475 streamproc analytics`
    """
    if ctx.invoked_subcommand is not None:
        return
    _installed()
    from streamproc.telemetry.voice import configure_log

    ctx.meta[LOGS] = "analytics"
    configure_log(LogSettings())  # settings that cannot be read are told there too
    settings = load_settings()
    configure_log(settings.log)

    from streamproc.analytics.run import run_analytics
    from streamproc.telemetry.clock import SystemClock

    run_analytics(settings, SystemClock())


@analytics.command()
def rebuild(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only compare.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compute every window anew from the topics, compare, and write the trends and alerts that differ.

    Reads all that results and segments keep. Writes only while the app does not run; --dry-run may run beside it. Exit
    code 1 when --dry-run finds a difference.

    Example: `streamproc analytics rebuild --dry-run`
    """
    from streamproc.analytics.rebuild import rebuild as compute
    from streamproc.cli.analytics_show import show

    report = compute(load_settings(), dry_run=dry_run)
    show(report, as_json=as_json)
    if dry_run and report.differing:
        raise typer.Exit(1)
