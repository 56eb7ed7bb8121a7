"""EmotionAlert: the negative share of a key in a window is too high, or is so no more."""

import uuid
from dataclasses import dataclass
from enum import StrEnum

ALERT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "streamproc:emotion-alert")


class AlertState(StrEnum):
    """What an alert says."""

    RAISED = "raised"
    CLEARED = "cleared"
    """Later results took the share below a second, lower threshold."""


@dataclass(frozen=True, slots=True)
class EmotionAlert:
    """One row of the alerts topic: written again, with the same ``alert_id``, when its state changes.

    Times in ms since the epoch. ``negative_share`` and ``support`` (labelled results) are those of the moment.
    """

    alert_id: str
    trend_id: str
    state: str
    attribute: str
    value: str
    window_kind: str
    window_start: int
    window_end: int
    negative_share: float
    threshold: float
    support: int
    produced_at: int


def alert_id(trend_id: str) -> str:
    """UUIDv5 of the window's trend: there is at most one alert of a window."""
    return str(uuid.uuid5(ALERT_NAMESPACE, trend_id))
