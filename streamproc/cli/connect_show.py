"""What connectors do, for people and for programs."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from streamproc.cli.speak import say
from streamproc.operate.warehouse.apply import EACH_TIME, MISSING, Applied
from streamproc.operate.warehouse.aside import Aside, PutAside
from streamproc.operate.warehouse.lag import Lag
from streamproc.operate.warehouse.status import Status

FAILED = f"`streamproc connect apply` starts again what failed. {EACH_TIME}."
NEXT_DEAD = "`streamproc connect dead` lists what was put aside, and says why."


def show_applied(applied: Sequence[Applied], *, as_json: bool) -> None:
    """What was done to each connector."""
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in applied]))
        return
    table = _table("connector", "change", "state", "tasks")
    for one in applied:
        table.add_row(one.name, one.change, one.state.connector, _tasks(one.state.tasks))
    Console().print(table)
    _tell_problems((one.name, one.state.problem) for one in applied)
    if not all(one.state.running for one in applied):
        say(FAILED, err=True)


def show_status(status: Status, *, as_json: bool) -> None:
    """What each connector does, how far it is behind, and what keeps rows from coming."""
    if as_json:
        typer.echo(json.dumps(_plain(status)))
        return
    table = _table("connector", "state", "tasks", "records behind", "for")
    for one in status.connectors:
        behind = ("-", "-") if one.state == MISSING else _behind(one.lag)
        table.add_row(one.name, one.state.connector, _tasks(one.state.tasks), *behind)
    Console().print(table)
    if status.aside is not None and status.aside.kept:
        typer.echo(_aside(status.aside))
        say(NEXT_DEAD)
    _tell_problems((one.name, one.problem) for one in status.connectors)
    if status.login.problem and not any(status.login.problem in (one.problem or "") for one in status.connectors):
        say(status.login.problem, err=True)
    if status.unseen:
        say(f"how far connectors are behind is not told: {status.unseen}", err=True)
    if status.differing:
        made = f"{', '.join(status.differing)}: made with other settings than these"
        say(f"{made}. `streamproc connect apply` changes them.", err=True)
    if missing := [one for one in status.connectors if one.state == MISSING]:
        told = f"Not there: {', '.join(one.name for one in missing)}. `streamproc connect apply` makes them"
        say(f"{told}: from {', '.join(one.topic for one in missing)} to the schema {status.namespace}.", err=True)
    if halted := [one for one in status.connectors if one.state.halted and not one.state.failed]:
        told = ", ".join(f"{one.name} ({one.state.connector})" for one in halted)
        say(f"Told to wait: {told}. `streamproc connect apply` lets them go on.", err=True)
    if not all(one.state.running or one in (*missing, *halted) for one in status.connectors):
        say(FAILED, err=True)


def show_dead(aside: Aside, *, as_json: bool) -> None:
    """What was put aside, oldest first."""
    for one in aside.newest:
        if as_json:
            typer.echo(json.dumps(_plain_record(one), ensure_ascii=False))
        else:
            typer.echo(
                f"{one.place}  {_moment(one.at_ms)}  {_clean(one.connector)}  {_clean(one.origin)}: {_clean(one.why)}"
            )
            say(f"    {_clean(one.advice)} [{_clean(one.said)}]")
    if not as_json:
        typer.echo(_aside(aside) if aside.kept else "Nothing was put aside.")


def _plain(status: Status) -> dict[str, Any]:
    """For JSON: the fields of a status, whether all is well, and places as they are written everywhere."""
    plain = asdict(status) | {"well": status.well}
    if status.aside is not None:
        plain["aside"]["newest"] = [_plain_record(one) for one in status.aside.newest]
    return plain


def _plain_record(one: PutAside) -> dict[str, Any]:
    return asdict(one) | {"place": str(one.place)}


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, padding=(0, 2, 0, 0))


def _tasks(states: Sequence[str]) -> str:
    """Those of one kind together: a connector may have a hundred."""
    counted = Counter(states)
    return ", ".join(state if count == 1 else f"{count} {state}" for state, count in counted.items()) or "-"


def _behind(lag: Lag | None) -> tuple[str, str]:
    if lag is None:
        return "?", "?"
    return f"{lag.records:,}", f"{lag.seconds:,.0f} s" if lag.records else "-"


def _tell_problems(told: Iterable[tuple[str, str | None]]) -> None:
    """What several say of the same is said once."""
    by_problem: dict[str, list[str]] = {}
    for name, problem in told:
        if problem:
            by_problem.setdefault(problem, []).append(name)
    for problem, names in by_problem.items():
        say(f"{', '.join(names)}: {_clean(problem)}", err=True)


def _aside(aside: Aside) -> str:
    newest = max(aside.newest, key=lambda one: one.at_ms, default=None)
    records = "1 record was" if aside.kept == 1 else f"{aside.kept:,} records were"
    return f"{records} put aside" + (f", {_newest(newest)}" if newest else "")


def _newest(one: PutAside) -> str:
    return f"the newest of {_moment(one.at_ms)}, {_clean(one.origin)}: {_clean(one.why)}"


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _clean(text: str) -> str:
    """Without anything that a terminal would take for a command: other programs wrote it."""
    return "".join(char if char.isprintable() else "?" for char in text)
