"""A report as a table of words: what a person reads, whatever shows it."""

from collections.abc import Iterator, Mapping

from streamproc.operate.report.period import Period, Spread
from streamproc.operate.report.report import Report


def rows(found: Report) -> Iterator[tuple[str, str, str]]:
    """What, in this period, in the one before."""
    for name, (now, before) in {
        "results": (found.now.results, found.before.results),
        "dead letters": (found.now.dead_letters, found.before.dead_letters),
    }.items():
        yield name, f"{now}", f"{before}"
    yield "error rate", share(found.now.error_rate), share(found.before.error_rate)
    yield "hit rate", share(found.now.hit_rate), share(found.before.hit_rate)
    yield "audio", _hours(found.now), _hours(found.before)
    yield "response", spread(found.now.response), spread(found.before.response)
    yield "processing", spread(found.now.processing), spread(found.before.processing)
    yield "beginning unknown", _known(found.now.unknown), _known(found.before.unknown)
    for name in ("tiers", "statuses", "labels", "reasons"):
        yield name, counts(getattr(found.now, name)), counts(getattr(found.before, name))


def share(value: float | None) -> str:
    """In percent."""
    return "-" if value is None else f"{value:.1%}"


def spread(value: Spread | None) -> str:
    """Mean and tails."""
    if value is None:
        return "-"
    return f"mean {value.mean:.2f}, p50 {value.p50:.2f}, p95 {value.p95:.2f}, p99 {value.p99:.2f} s"


def counts(values: Mapping[str, int] | None) -> str:
    """The most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in (values or {}).items()) or "-"


def _known(count: int | None) -> str:
    return "-" if count is None else f"{count}"


def _hours(period: Period) -> str:
    return f"{period.audio_s / 3600:.2f} h"
