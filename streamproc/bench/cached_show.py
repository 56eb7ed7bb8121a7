"""What a cache is worth, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.cached import SECONDS, CachedReport
from streamproc.bench.show import machine_line
from streamproc.records.analysis import Tier


def show_cached(report: CachedReport, console: Console) -> None:
    """Print a report; fits 80 columns."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("tiers", no_wrap=True)
    for name in ("hits", "memory", "redis", "archive", "device s", "saved s", "mean ms", "p95 ms"):
        table.add_column(name, justify="right")
    for case in report.cases:
        shares = (f"{case.shares[tier]:.1%}" for tier in (Tier.MEMORY, Tier.REDIS, Tier.ARCHIVE))
        table.add_row(
            case.name,
            f"{case.hit_rate:.1%}",
            *shares,
            f"{case.device_s:.1f}",
            f"{report.saved_device_s(case):.1f}",
            f"{case.latency.mean:.0f}",
            f"{case.latency.p95:.0f}",
        )
    console.print(table)
    load = report.load
    console.print(
        f"{load.events} events of {load.recordings} recordings of {SECONDS:g} s, Zipf exponent {load.exponent:g}, "
        f"{report.distinct} of them heard; {load.events_per_s:g} events per s, an accelerator of "
        f"{load.audio_s_per_s:.0f} audio-seconds per second; memory holds {load.remembered} analyses, the archive knew "
        f"{report.archived} recordings before. A hit in memory may be of one that is being computed just then, also "
        "without a cache. Latency: from an event that is due until a reader of committed rows has its result.",
        highlight=False,
    )
    console.print(machine_line(report.machine), highlight=False)


def cached_json(report: CachedReport) -> Mapping[str, object]:
    """The same for programs."""
    cases = [
        {**asdict(case), "hit_rate": case.hit_rate, "saved_device_s": report.saved_device_s(case)}
        for case in report.cases
    ]
    return {"bench": "cached", **asdict(report), "audio_s_per_s": report.load.audio_s_per_s, "cases": cases}
