"""How an audit is shown."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamproc.operate.audit.finding import AuditReport, Finding, Unseen, Window
from streamproc.operate.lines import counted

SHOWN = 50
"""Faults on a screen; ``--json`` has more."""


def audit_json(report: AuditReport) -> Mapping[str, Any]:
    """The same for programs."""
    places = {name: [_flat(one) for one in getattr(report, name)] for name in ("windows", "findings", "unseen")}
    return {"proved": report.proved, **asdict(report), **places}


def _flat(one: Finding | Unseen | Window) -> Mapping[str, Any]:
    return {**asdict(one), "topic": one.partition.topic, "partition": one.partition.partition}


def show_audit(report: AuditReport, console: Console) -> None:
    """What was audited, what is wrong, what was not seen, and the verdict."""
    windows = Table("partition", box=None, padding=(0, 2, 0, 0))
    for name in ("from", "to", "records", "no record"):
        windows.add_column(name, justify="right")
    for window in report.windows:
        windows.add_row(
            str(window.partition), f"{window.first:,}", f"{window.end:,}", f"{window.records:,}", f"{window.holes:,}"
        )
    console.print(windows)
    console.print(
        f"{counted(report.results, 'result')}, {counted(report.dead_letters, 'dead letter')}, "
        f"{report.retried:,} went over lanes, {counted(report.ledger_rows, 'ledger row')}, "
        f"read in {report.seconds:.1f} s"
    )
    if report.findings:
        _places(console, "fault", [(f.fault, f.partition, f.first, f.last, f.detail) for f in report.findings])
        _more(console, report.finding_count)
    if report.unseen:
        _places(console, "not seen", [("", u.partition, u.first, u.last, u.why) for u in report.unseen])
        _more(console, report.unseen_count)
    if report.waiting:
        console.print(
            f"{counted(report.waiting, 'offset')} outside of the windows: not committed yet, nothing is said of them"
        )
    if report.unchecked_rows:
        rows = counted(report.unchecked_rows, "ledger row")
        console.print(f"{rows} not checked: not all that they sum up is kept, is in the window or has come to an end")
    if report.advisory and report.finding_count:
        console.print("kafka.delivery is at_least_once: after a crash outcomes can be there twice.")
    if report.proved:
        each = f"each of {counted(report.records, 'record')} has exactly one end"
        but = f", but for {counted(report.unchecked_rows, 'ledger row')} not checked" if report.unchecked_rows else ""
        console.print(f"[green]proved[/]: {each if report.records else 'no record is in the windows'}{but}")
    elif report.finding_count:
        console.print(f"[red]not proved[/]: {counted(report.finding_count, 'fault')}; docs/runbook.md says what to do")
    else:
        console.print("[yellow]not proved[/]: no fault in what was seen, but not all of it was")


def _places(console: Console, title: str, rows: list[tuple[str, object, int, int, str]]) -> None:
    """One line each, however long: what is cut at 80 columns can be neither found by grep nor pasted."""
    shown = [
        (name, f"{partition}/{first}" if first == last else f"{partition}/{first} to {last}", detail)
        for name, partition, first, last, detail in rows[:SHOWN]
    ]
    names = max(len(title), *(len(name) for name, _, _ in shown))
    places = max(len("offsets"), *(len(place) for _, place, _ in shown))
    console.print(Text(f"{title:<{names}}  {'offsets':<{places}}  what", style="bold"), soft_wrap=True)
    for name, place, detail in shown:
        line = Text.assemble((f"{name:<{names}}", "red"), f"  {place:<{places}}  {detail}", no_wrap=True)
        console.print(line, soft_wrap=True)


def _more(console: Console, count: int) -> None:
    if count > SHOWN:
        console.print(f"and {count - SHOWN:,} more")
