"""Windows as rows, and the rule by which one raises an alert."""

from dataclasses import dataclass, replace

from streamproc.analytics.observation import MILLION
from streamproc.analytics.view import Window
from streamproc.records.alert import AlertState, EmotionAlert, alert_id
from streamproc.records.trend import EmotionTrend, count_columns, trend_id
from streamproc.settings import AnalyticsSettings


@dataclass(frozen=True, slots=True)
class Rule:
    """When a window is alarming."""

    negative: frozenset[str]
    """Labels that count as negative."""
    share: float
    support: int
    """Labelled results that it takes at least."""
    clear_share: float
    """Below this, a window that was alarming is so no more; between the two it stays what it was."""

    def alarming(self, trend: EmotionTrend) -> bool:
        """Whether the negative share reaches the threshold, with support enough."""
        share = trend.negative_share
        return share is not None and trend.labelled >= self.support and share >= self.share

    def calm(self, trend: EmotionTrend) -> bool:
        """Whether an alert about it is to be taken back.

        Support is never lost, but a setting may ask for more of it than when the alert was raised.
        """
        share = trend.negative_share
        return share is None or trend.labelled < self.support or share < self.clear_share


def rule(settings: AnalyticsSettings) -> Rule:
    """The rule of the settings."""
    return Rule(
        frozenset(settings.negative_labels), settings.alert_share, settings.alert_support, settings.alert_clear_share
    )


def id_of(window: Window) -> str:
    """What readers upsert the row of a window by."""
    return trend_id(window.kind, window.end - window.start, window.key, window.start)


def build_trend(window: Window, negative_labels: frozenset[str], now_ms: int) -> EmotionTrend:
    """The row of a window."""
    tally = window.tally
    labelled, negative = tally.labelled, tally.negative(negative_labels)
    return EmotionTrend(
        **count_columns(tally.labels),
        trend_id=id_of(window),
        attribute=window.key[0],
        value=window.key[1],
        window_kind=window.kind,
        window_start=window.start,
        window_end=window.end,
        results=tally.results,
        labelled=labelled,
        negative=negative,
        negative_share=negative / labelled if labelled else None,
        mean_confidence=tally.confidence / MILLION / labelled if labelled else None,
        changed=tally.changed,
        mean_change=tally.change / MILLION / tally.changed if tally.changed else None,
        produced_at=now_ms,
    )


def empty_trend(trend: EmotionTrend, now_ms: int) -> EmotionTrend:
    """The row of a window in which there is nothing, to be read instead of one that says otherwise."""
    return replace(
        trend,
        **count_columns({}),
        results=0,
        labelled=0,
        negative=0,
        negative_share=None,
        mean_confidence=None,
        changed=0,
        mean_change=None,
        produced_at=now_ms,
    )


def build_alert(trend: EmotionTrend, state: AlertState, threshold: float, now_ms: int) -> EmotionAlert:
    """The row that says it. A share of nothing is 0."""
    return EmotionAlert(
        alert_id=alert_id(trend.trend_id),
        trend_id=trend.trend_id,
        state=state,
        attribute=trend.attribute,
        value=trend.value,
        window_kind=trend.window_kind,
        window_start=trend.window_start,
        window_end=trend.window_end,
        negative_share=trend.negative_share or 0.0,
        threshold=threshold,
        support=trend.labelled,
        produced_at=now_ms,
    )
