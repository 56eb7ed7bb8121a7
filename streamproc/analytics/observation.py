"""What a row says that windows are made of. Numbers are whole, in millionths: sums are then the same in any order."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streamproc.records.result import SCORE_COLUMNS

MILLION = 1_000_000
EVERYTHING = ("all", "")
"""The key of all results together."""
OTHER = "(other)"
"""Stands for values that are too long, or too many to be kept apart."""
_LONGEST = 256
"""Characters of a value or of a label: what is longer is no name, and would be in every row of its windows."""
RESULT_COLUMNS = frozenset(
    {
        "result_id",
        "label",
        "confidence",
        "recorded_at",
        "produced_at",
        "tenant",
        "agent",
        "queue",
        "language",
    }
)
SEGMENT_COLUMNS = frozenset(
    {"result_id", "index", "channel", "start_ms", "recorded_at", *(f"score_{label}" for label in SCORE_COLUMNS)}
)

Key = tuple[str, str]
"""An attribute and its value."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Of one result. Times in ms since the epoch; ``label`` None where there was nothing to label."""

    result_id: str
    recorded_at: int
    produced_at: int
    keys: tuple[Key, ...]
    label: str | None
    confidence: int
    """In millionths."""
    written_at: int
    """Its record's time, which a broker refuses when that is far ahead of its own clock."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A segment in its channel of a recording, ordered by its place."""

    start_ms: int
    index: int
    negativity: int
    """What the scores of the negative labels come to, in millionths."""

    @property
    def place(self) -> tuple[int, int]:
        """Where it is."""
        return self.start_ms, self.index


@dataclass(frozen=True, slots=True)
class Step:
    """Of one segment. Times in ms since the epoch; ``produced_at`` is its record's."""

    result_id: str
    channel: int
    """Who speaks: -1 where all are mixed."""
    recorded_at: int
    produced_at: int
    mark: Mark


def unknown_labels(labels: Iterable[str]) -> list[str]:
    """Those that the published model does not have: a misspelt one counts nothing, and nobody would know."""
    return [label for label in labels if label not in SCORE_COLUMNS]


def observe_result(row: Mapping[str, Any], written_at: int, attributes: Collection[str]) -> Observation | None:
    """Take what counts of a result row; None when it does not say when its recording began or was analysed."""
    if row["recorded_at"] is None or row["produced_at"] is None:
        return None
    return Observation(
        result_id=row["result_id"],
        recorded_at=row["recorded_at"],
        produced_at=row["produced_at"],
        keys=(EVERYTHING, *((name, value) for name in attributes if (value := _short(row[name] or "")))),
        label=None if row["label"] is None else _short(row["label"]),
        confidence=_millionths(row["confidence"]),
        written_at=written_at,
    )


def observe_segment(row: Mapping[str, Any], produced_at: int, negative: Collection[str]) -> Step | None:
    """Take what counts of a segment row; None when it does not say where it is, or has no such scores."""
    if row["recorded_at"] is None or row["index"] is None or row["start_ms"] is None:
        return None
    scores = [row[f"score_{label}"] for label in SCORE_COLUMNS if label in negative]
    if all(score is None for score in scores):
        return None
    mark = Mark(row["start_ms"], row["index"], sum(map(_millionths, scores)))
    channel = -1 if row["channel"] is None else row["channel"]
    return Step(row["result_id"], channel, row["recorded_at"], produced_at, mark)


def _short(text: str) -> str:
    text = text.replace("\0", "")  # as our rows are written: else a window has another name than its trends
    return OTHER if len(text) > _LONGEST else text


def _millionths(number: float | None) -> int:
    """Of a share; what a foreign row has beyond 0 and 1 is brought back to them."""
    return round(min(max(number, 0.0), 1.0) * MILLION) if number is not None and math.isfinite(number) else 0
