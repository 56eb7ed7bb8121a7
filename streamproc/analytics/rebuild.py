"""Every window anew, from nothing but the topics, and how that compares with what readers have."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from streamproc.analytics.agreement import agreement, differences
from streamproc.analytics.history import History
from streamproc.analytics.member import Member
from streamproc.analytics.observation import unknown_labels
from streamproc.analytics.partial import Partial, decode, terms
from streamproc.analytics.retention import check_retention
from streamproc.analytics.rows import look_up_codec
from streamproc.analytics.trend import id_of, rule
from streamproc.analytics.view import View
from streamproc.analytics.windows import calendar
from streamproc.errors import UsageError
from streamproc.kafka.admin import count_members
from streamproc.kafka.publisher import Publisher
from streamproc.records.alert import AlertState, EmotionAlert
from streamproc.records.trend import EmotionTrend
from streamproc.settings import Settings

_EXAMPLES = 5
_MINUTE_MS = 60_000
Rows = list[EmotionTrend | EmotionAlert]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. ``left_out`` counts rows that are in no window, by why."""

    rows: int
    windows: int
    raised: int
    """Alerts that are raised once what differs is written."""
    trends: int
    alerts: int
    written: bool
    left_out: Mapping[str, int]
    shortened: int
    """Windows that could not be compared: retention took rows of their time."""
    seconds: float
    examples: tuple[str, ...] = ()
    """The first rows that differ, in words."""
    changed: tuple[str, ...] = ()
    """Which settings the app's group had others of when it ran last, in words."""
    unknown_labels: tuple[str, ...] = ()
    """Of those that count as negative, which the published model does not have."""
    passed: tuple[str, ...] = ()
    """What was on the topics of trends and alerts that is no row, in words."""

    @property
    def differing(self) -> int:
        """Rows that differ."""
        return self.trends + self.alerts


def rebuild(settings: Settings, *, dry_run: bool) -> Report:
    """Compute, compare and, unless it is a dry run, write what differs. Raises UsageError, DependencyDownError."""
    began = time.monotonic()
    made = rule(settings.analytics)
    if not dry_run:
        _alone(settings)
    with History(settings) as history:
        member, view = history.member(history.partitions()), View(calendar(settings.analytics), terms(settings))
        check_retention(settings)
        told = history.told()
        history.refuse_anew(told.read)
        rows = history.catch_up(member)
        _hear(view, member)
        published = history.published(view.watermark - view.calendar.retention_ms)
        # An app that runs meanwhile had read no more than this when it wrote what was read before.
        rows += history.catch_up(member)
        _hear(view, member)
        published.forget(view.watermark - view.calendar.retention_ms)
        whole_from_ms, passed = history.whole_from_ms, tuple(map(str, history.passed))
    every = view.windows_of(view.everything())
    windows = [window for window in every if window.start >= whole_from_ms]
    now_ms = time.time_ns() // 1_000_000
    trends = {id_of(window) for window in every}
    differing = [*published.missing(windows, made, now_ms)]
    differing += (row for row in published.excess(trends, made, now_ms) if row.window_start >= whole_from_ms)
    there = dict(published.trends)
    if differing and not dry_run:
        _write(settings, differing)
    for row in differing:
        published.put(row)
    return Report(
        rows=rows,
        windows=len(windows),
        raised=sum(alert.state == AlertState.RAISED for alert in published.alerts.values()),
        trends=sum(isinstance(row, EmotionTrend) for row in differing),
        alerts=sum(isinstance(row, EmotionAlert) for row in differing),
        written=bool(differing) and not dry_run,
        left_out=dict(sum((Counter(view.left_out(told)) for told in view.progress), Counter())),
        shortened=len(every) - len(windows),
        seconds=time.monotonic() - began,
        examples=tuple(_words(row, there) for row in differing[:_EXAMPLES]),
        changed=() if told.agreed is None else tuple(differences(told.agreed, agreement(settings).agreed)),
        unknown_labels=tuple(unknown_labels(settings.analytics.negative_labels)),
        passed=passed,
    )


def _words(row: EmotionTrend | EmotionAlert, there: Mapping[str, EmotionTrend]) -> str:
    exact = "seconds" if row.window_start % _MINUTE_MS else "minutes"
    begin = datetime.fromtimestamp(row.window_start / 1000, UTC).isoformat(timespec=exact)
    length_s = (row.window_end - row.window_start) // 1000
    where = f"{row.attribute} {row.value!r}, {row.window_kind} {length_s} s from {begin}"
    if isinstance(row, EmotionAlert):
        return f"{where}: the alert is {row.state}"
    told = there.get(row.trend_id)
    had = f"{told.results} results, {told.negative} negative" if told else "nothing"
    return f"{where}: {row.results} results, {row.negative} negative; readers have {had}"


def _hear(view: View, member: Member) -> None:
    """How far each partition is comes first: what is over by then is counted, and in no window."""
    told = [decode(record.key, record.value) for record in member.records()]
    for one in sorted(told, key=lambda one: isinstance(one, Partial)):
        view.take(one)


def _alone(settings: Settings) -> None:
    """Raise UsageError while the app runs: it would not write again what is overwritten here with older rows."""
    if members := count_members(settings, settings.analytics.group):
        some = f"{members} member{'s' * (members > 1)}"
        raise UsageError(
            f"the group {settings.analytics.group} has {some}: stop the app before its rows are written (after a crash "
            "the broker takes some seconds to notice). Whoever starts it again writes what is missing by itself; "
            "--dry-run only compares"
        )


def _write(settings: Settings, rows: Rows) -> None:
    codec = look_up_codec(settings)
    with closing(Publisher(settings)) as publisher:
        _alone(settings)
        for row in rows:
            publisher.send(codec.record(row), row.trend_id)
        publisher.flush()
