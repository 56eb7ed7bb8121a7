"""What a rebuild found, for people and programs."""

import json
from dataclasses import asdict

import typer

from streamproc.analytics.rebuild import Report


def show(report: Report, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        typer.echo(json.dumps({**asdict(report), "differing": report.differing}))
        return
    if report.changed:
        typer.echo(f"the group ran last with other settings: {'; '.join(report.changed)}")
    if report.unknown_labels:
        unknown = ", ".join(report.unknown_labels)
        typer.echo(f"labels that the published model does not have: {unknown} (analytics.negative_labels)")
    for passed in report.passed:
        typer.echo(passed)
    left = ", ".join(f"{count} {why}" for why, count in sorted(report.left_out.items())) or "none"
    typer.echo(f"{report.rows} rows read in {report.seconds:.1f} s; left out: {left}")
    gone = f"; {report.shortened} windows not compared, since rows of theirs are gone" if report.shortened else ""
    typer.echo(f"{report.windows} windows, {report.raised} alerts raised{gone}")
    what = " (written)" if report.written else " (not written)" if report.differing else ""
    typer.echo(f"{report.trends} trends and {report.alerts} alerts differ from what readers have{what}")
    for example in report.examples:
        typer.echo(f"  {example}")
