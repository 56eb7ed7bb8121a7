"""What has to be written: where the rows that are there differ from what the windows come to."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from streamproc.analytics.trend import Rule, build_alert, build_trend, empty_trend
from streamproc.analytics.view import Window
from streamproc.records.alert import AlertState, EmotionAlert
from streamproc.records.trend import EmotionTrend

ALERTING = "tumbling"
"""Windows of this kind raise alerts: one that overlaps others would say the same thing several times."""


class Published:
    """The rows that readers have, both by the ``trend_id`` of their window."""

    def __init__(self) -> None:
        self.trends: dict[str, EmotionTrend] = {}
        self.alerts: dict[str, EmotionAlert] = {}

    def put(self, row: EmotionTrend | EmotionAlert) -> None:
        """Take a row for read; of two with one id, the later."""
        match row:
            case EmotionTrend():
                self.trends[row.trend_id] = row
            case EmotionAlert():
                self.alerts[row.trend_id] = row

    def forget(self, before_ms: int) -> None:
        """Let go of windows that ended before."""
        self.trends = {name: row for name, row in self.trends.items() if row.window_end > before_ms}
        self.alerts = {name: row for name, row in self.alerts.items() if row.window_end > before_ms}

    def missing(self, windows: Iterable[Window], rule: Rule, now_ms: int) -> Iterator[EmotionTrend | EmotionAlert]:
        """The rows to write so that readers have what these windows come to."""
        for window in windows:
            trend = build_trend(window, rule.negative, now_ms)
            if not _same(self.trends.get(trend.trend_id), trend):
                yield trend
            if window.kind == ALERTING and (state := self._due(trend, rule)) is not None:
                yield build_alert(trend, state, rule.share, now_ms)

    def excess(self, there: Collection[str], rule: Rule, now_ms: int) -> Iterator[EmotionTrend | EmotionAlert]:
        """The rows to write instead of those that nothing stands behind: whose window is not among these."""
        for row in self.trends.values():
            if row.results and row.trend_id not in there:
                trend = empty_trend(row, now_ms)
                yield trend
                if (state := self._due(trend, rule)) is not None:
                    yield build_alert(trend, state, rule.share, now_ms)
        for alert in self.alerts.values():
            told = self.trends.get(alert.trend_id)
            empty = told is None or not told.results
            if alert.state == AlertState.RAISED and alert.trend_id not in there and empty:
                yield replace(alert, state=AlertState.CLEARED, negative_share=0.0, support=0, produced_at=now_ms)

    def _due(self, trend: EmotionTrend, rule: Rule) -> AlertState | None:
        """The state to tell, when readers have another one."""
        told = self.alerts.get(trend.trend_id)
        raised = told is not None and told.state == AlertState.RAISED
        if raised:
            return AlertState.CLEARED if rule.calm(trend) else None
        return AlertState.RAISED if rule.alarming(trend) else None


def _same(there: EmotionTrend | None, wanted: EmotionTrend) -> bool:
    """Whether two rows say the same, whenever each was made."""
    return there is not None and replace(there, produced_at=wanted.produced_at) == wanted
