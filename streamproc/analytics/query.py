"""Questions to the view: windows of now, of a key over time, and who moved most. Answers are plain values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamproc.analytics.alarms import Alarms
from streamproc.analytics.observation import EVERYTHING, Key
from streamproc.analytics.trend import Rule, build_trend, id_of
from streamproc.analytics.view import View, Window
from streamproc.analytics.windows import Windows
from streamproc.records.alert import alert_id
from streamproc.telemetry.clock import Clock

Row = Mapping[str, Any]


class Query:
    """Asks one view. Whoever shares the view holds its lock. ``value`` None asks for every value of an attribute.

    The current window is the one in which the latest recording began, but none that begins later than now: of one host
    with a fast clock, that would be a window without anybody else.
    """

    def __init__(self, view: View, alarms: Alarms, rule: Rule, attributes: Sequence[str], clock: Clock) -> None:
        self.attributes = [EVERYTHING[0], *sorted(attributes)]
        """What windows are kept for, whether there are any yet or not."""
        self._view = view
        self._alarms = alarms
        self._rule = rule
        self._clock = clock

    def state(self) -> Row:
        """How far the partitions are, and what can be asked for."""
        return {
            "watermark": self._view.watermark,
            "attributes": self.attributes,
            "windows": [self._current(windows) for windows in self._view.calendar.windows],
            "alert_share": self._rule.share,
            "alert_support": self._rule.support,
            "alert_clear_share": self._rule.clear_share,
            "partitions": [
                {"partition": told.partition, "watermark": told.watermark, "left_out": self._view.left_out(told)}
                for told in self._view.progress
            ],
        }

    def windows(self, kind: str, attribute: str, most: int, value: str | None = None) -> Sequence[Row]:
        """The current window of keys of an attribute: those with support first, of each the most negative first."""
        windows = self._windows(kind)
        start = self._begin(windows)
        found = (self._view.window(windows, key, start) for key in self._keys(attribute, value))
        rows = [self._row(window) for window in found if window is not None]
        return sorted(rows, key=self._rank)[:most]

    def series(self, kind: str, key: Key, most: int) -> Sequence[Row]:
        """The latest windows of a key, in order."""
        windows = self._windows(kind)
        found = (self._view.window(windows, key, start) for start in self._view.starts(windows, key)[-most:])
        return [self._row(window) for window in found if window is not None]

    def movers(self, kind: str, attribute: str, most: int, value: str | None = None) -> Sequence[Row]:
        """Whose negative share changed most from the window before to the current one, with support in both."""
        windows = self._windows(kind)
        start = self._begin(windows)
        moved = []
        for key in self._keys(attribute, value):
            now, before = (self._view.window(windows, key, at) for at in (start, start - windows.size_ms))
            if now is None or before is None:
                continue
            rows = self._row(now), self._row(before)
            if min(row["labelled"] for row in rows) >= self._rule.support:
                change = rows[0]["negative_share"] - rows[1]["negative_share"]
                moved.append({**rows[0], "share_before": rows[1]["negative_share"], "share_change": change})
        return sorted(moved, key=lambda row: (-abs(row["share_change"]), row["value"]))[:most]

    def alerts(self, most: int, attribute: str | None = None, value: str | None = None) -> Sequence[Row]:
        """Windows that are alarming now, latest first, with the ids of their alerts."""
        rows = []
        for window in self._alarms.latest():
            if attribute in (None, window.key[0]) and value in (None, window.key[1]):
                trend = id_of(window)
                rows.append({**self._row(window), "alert_id": alert_id(trend), "trend_id": trend})
        return rows[:most]

    def _keys(self, attribute: str, value: str | None) -> Iterator[Key]:
        return (key for key in self._view.keys(attribute) if value in (None, key[1]))

    def _begin(self, windows: Windows) -> int:
        return windows.current(min(self._view.watermark, self._clock.wall_ms()))

    def _current(self, windows: Windows) -> Row:
        start = self._begin(windows)
        return {
            "kind": windows.kind,
            "size_ms": windows.size_ms,
            "hop_ms": windows.hop_ms,
            "window_start": start,
            "window_end": start + windows.size_ms,
        }

    def _rank(self, row: Row) -> tuple[object, ...]:
        weak = row["labelled"] < self._rule.support
        return weak, -(row["negative_share"] or 0.0), -row["labelled"], row["value"]

    def _windows(self, kind: str) -> Windows:
        return next(windows for windows in self._view.calendar.windows if windows.kind == kind)

    def _row(self, window: Window) -> dict[str, Any]:
        trend = build_trend(window, self._rule.negative, 0)
        names = [name for name in trend.__dataclass_fields__ if name not in {"trend_id", "produced_at", "counts_json"}]
        counts = {label: count for label, count in sorted(window.tally.labels.items()) if count}
        plain = {name: getattr(trend, name) for name in names if not name.startswith("count_")}
        return plain | {"counts": counts}
