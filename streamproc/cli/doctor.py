"""``streamproc doctor``."""

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from streamproc.cli.speak import with_program
from streamproc.errors import ExitCode
from streamproc.settings import load_settings


def doctor(
    *,
    grace: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds that a supervisor grants between SIGTERM and SIGKILL (a pod's grace)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each check.")] = False,
) -> None:
    """Look, before a worker starts, at everything that it needs, and say what to do about what is wrong.

    Brokers, topics, rights, registry, store, Redis, clocks, disk, http.port, sandbox, model, device, the group's
    fingerprint, and the chain of timeouts with its numbers. All at the same time, each within a bound; nothing is left
    behind. Exit code 0 when nothing is wrong, 1 when something is, 2 for settings that cannot be.

    Example: `streamproc doctor --grace 90`
    """
    from rich.console import Console

    from streamproc.cli.doctor_show import lines
    from streamproc.operate.doctor.checks import checks
    from streamproc.operate.doctor.examine import examine
    from streamproc.operate.doctor.finding import Verdict
    from streamproc.telemetry.clock import SystemClock

    console, bad = Console(), 0
    for found in examine(checks(load_settings(), SystemClock(), os.environ, grace)):
        bad += found.verdict is Verdict.WRONG
        if as_json:
            typer.echo(json.dumps(asdict(found), ensure_ascii=False))
        else:
            for line in lines(found):
                console.print(line, soft_wrap=True)
    if not as_json:
        typer.echo(with_program(f"{bad} wrong" if bad else "Nothing is wrong: `streamproc worker` can start."))
    if bad:
        raise typer.Exit(ExitCode.OTHER)
