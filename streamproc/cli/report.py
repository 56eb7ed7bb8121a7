"""``streamproc report``."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from streamproc.settings import load_settings


def report(
    *,
    last: Annotated[str, typer.Option(help="The period that ends now: 1h, 24h, 7d.")] = "24h",
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Read from this Prometheus. Default: prometheus.url, else the topics."),
    ] = None,
    job: Annotated[str | None, typer.Option(help="Of what Prometheus scrapes only this job.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page with plots to this file, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Say what became of the recordings of a period, and what is out of the ordinary.

    Totals, response times (mean, p50, p95, p99), error rate, hit rate, tiers, labels, reasons of dead letters, against
    the period as long before it. Read from the topics alone, committed records only; or, with `--prometheus`, from what
    workers counted, which takes a moment however long the period is. Commits nothing and disturbs nobody.

    Example: `streamproc report --last 24h --html report.html`
    """
    from rich.console import Console

    from streamproc.cli.report_show import show
    from streamproc.errors import UsageError
    from streamproc.operate.progress import LiveProgress
    from streamproc.operate.report.page import page
    from streamproc.operate.report.read import report as from_topics
    from streamproc.operate.report.scraped import report as from_prometheus
    from streamproc.operate.since import parse_since

    now_ms = time.time_ns() // 1_000_000
    begin_ms = parse_since(last, now_ms)
    if begin_ms == now_ms:
        raise UsageError("--last is a period, as in 1h")
    if html is not None and (html.is_dir() or not os.access(html if html.exists() else html.parent, os.W_OK)):
        raise UsageError(f"--html: {html} cannot be written")  # before all is read
    settings = load_settings()
    url = settings.prometheus.url if prometheus is None else prometheus
    if job is not None and not url:
        raise UsageError("--job is of Prometheus: give --prometheus, too, or set prometheus.url")
    with LiveProgress() as progress:
        if url:
            found = from_prometheus(settings.prometheus, url, job, (begin_ms, now_ms), progress.count)
        else:
            found = from_topics(settings, begin_ms, now_ms, progress.count)
    if as_json:
        both = (("now", found.now), ("before", found.before))
        rates = {name: {"error_rate": one.error_rate, "hit_rate": one.hit_rate} for name, one in both}
        typer.echo(json.dumps({**asdict(found), "rates": rates}))
    else:
        show(found, Console())
    if html is not None:
        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--html: {html} cannot be written: {error.strerror}") from None
