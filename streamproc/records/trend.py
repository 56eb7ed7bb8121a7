"""EmotionTrend: what one window of one key comes to."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamproc.records.result import SCORE_COLUMNS

TREND_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "streamproc:emotion-trend")


@dataclass(frozen=True, slots=True)
class EmotionTrend:
    """One row of the trends topic: written again, with the same ``trend_id``, whenever the window changes.

    Times in ms since the epoch. Shares are of the labelled results; None where there are none.
    """

    trend_id: str
    attribute: str
    value: str
    window_kind: str
    window_start: int
    window_end: int
    results: int
    labelled: int
    count_angry: int
    count_disgusted: int
    count_fearful: int
    count_happy: int
    count_neutral: int
    count_other: int
    count_sad: int
    count_surprised: int
    count_unknown: int
    counts_json: str | None
    negative: int
    negative_share: float | None
    mean_confidence: float | None
    changed: int
    mean_change: float | None
    produced_at: int


def trend_id(kind: str, size_ms: int, key: tuple[str, str], start_ms: int) -> str:
    """UUIDv5 of the window and its key: what to upsert by."""
    return str(uuid.uuid5(TREND_NAMESPACE, json.dumps([kind, size_ms, *key, start_ms], ensure_ascii=False)))


def count_columns(labels: Mapping[str, int]) -> dict[str, Any]:
    """The count columns of a row. Labels without a column of their own are in ``counts_json``."""
    others = {label: count for label, count in sorted(labels.items()) if label not in SCORE_COLUMNS and count}
    counts: dict[str, Any] = {f"count_{label}": labels.get(label, 0) for label in SCORE_COLUMNS}
    return counts | {"counts_json": json.dumps(others, ensure_ascii=False) if others else None}
