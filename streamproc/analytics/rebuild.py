"""Every window anew, from nothing but the topics, and how that compares with what readers have."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from streamproc.analytics.emission import ALERTING
from streamproc.analytics.history import History
from streamproc.analytics.partial import decode, terms
from streamproc.analytics.rows import look_up_codec
from streamproc.analytics.trend import build_trend, rule
from streamproc.analytics.view import View
from streamproc.analytics.windows import calendar
from streamproc.kafka.publisher import Publisher
from streamproc.records.alert import EmotionAlert
from streamproc.records.trend import EmotionTrend
from streamproc.settings import Settings


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. ``left_out`` counts rows that are in no window, by why."""

    rows: int
    windows: int
    raised: int
    trends: int
    alerts: int
    written: bool
    left_out: Mapping[str, int]
    seconds: float

    @property
    def differing(self) -> int:
        """Rows that differ."""
        return self.trends + self.alerts


def rebuild(settings: Settings, *, dry_run: bool) -> Report:
    """Compute, compare and, unless it is a dry run, write what differs. Raises UsageError, DependencyDownError."""
    began = time.monotonic()
    made = rule(settings.analytics)
    with History(settings) as history:
        member = history.member(history.partitions())
        rows = history.catch_up(member)
        view = View(calendar(settings.analytics), terms(settings))
        for record in member.records():
            view.take(decode(record.key, record.value))
        windows = view.windows_of(view.everything())
        now_ms = time.time_ns() // 1_000_000
        differing = list(history.published().missing(windows, made, now_ms))
    if differing and not dry_run:
        _write(settings, differing)
    alarming = [w for w in windows if w.kind == ALERTING and made.alarming(build_trend(w, made.negative, now_ms))]
    return Report(
        rows=rows,
        windows=len(windows),
        raised=len(alarming),
        trends=sum(isinstance(row, EmotionTrend) for row in differing),
        alerts=sum(isinstance(row, EmotionAlert) for row in differing),
        written=bool(differing) and not dry_run,
        left_out=dict(sum((Counter(told.left_out) for told in view.progress), Counter())),
        seconds=time.monotonic() - began,
    )


def _write(settings: Settings, rows: list[EmotionTrend | EmotionAlert]) -> None:
    codec = look_up_codec(settings)
    with closing(Publisher(settings)) as publisher:
        for row in rows:
            publisher.send(codec.record(row), row.trend_id)
        publisher.flush()
