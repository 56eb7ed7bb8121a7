"""A period: its totals, its response times, and how both went over it."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

COMPUTED = "computed"
KNOWN = 0.95
"""Of what ended, the beginnings that are to be known for response times to stand for all. Those of dead letters always
are, and of results only while the input is kept: the few that are left would be of other records."""
PARTS = 48
"""Points of a plot."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of times in seconds; linear between ranks, as ``numpy.percentile`` has it."""

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Part:
    """One of equal stretches of a period."""

    begin_ms: int
    results: int
    dead_letters: int
    response_s: float | None
    """The mean; None where nothing ended, or too few beginnings are known."""


@dataclass(frozen=True, slots=True)
class Period:
    """What ended in it. Times in ms since the epoch, the end outside."""

    begin_ms: int
    end_ms: int
    results: int
    dead_letters: int
    audio_s: float
    response: Spread | None
    """From an input record's timestamp to that of its result or dead letter; None where too few are known."""
    unknown: int | None
    """Ends whose input record is not kept any more, or began too long before; None where it is kept beside."""
    processing: Spread | None
    """Of results, from taking the record off the topic to making the row (``processing_ms``)."""
    tiers: Mapping[str, int]
    statuses: Mapping[str, int] | None
    """As ``labels``: None where the source does not tell."""
    labels: Mapping[str, int] | None
    reasons: Mapping[str, int]
    parts: tuple[Part, ...]

    @property
    def ended(self) -> int:
        """Results and dead letters."""
        return self.results + self.dead_letters

    @property
    def error_rate(self) -> float | None:
        """Dead letters, of what ended; None where nothing did."""
        return self.dead_letters / self.ended if self.ended else None

    @property
    def hit_rate(self) -> float | None:
        """Analyses that did not have to be computed, of all; None where there are none."""
        every = sum(self.tiers.values())
        return (every - self.tiers.get(COMPUTED, 0)) / every if every else None


@dataclass(slots=True)
class Gathered:
    """Rows of a period as they are read, in 24 bytes each."""

    begin_ms: int
    end_ms: int
    _at: "array[int]" = field(default_factory=lambda: array("q"))
    _response: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds, NaN where unknown; one for each of ``_at``, dead letters behind results."""
    _processing: "array[float]" = field(default_factory=lambda: array("d"))
    _dead_at: "array[int]" = field(default_factory=lambda: array("q"))
    _dead_response: "array[float]" = field(default_factory=lambda: array("d"))
    _audio_ms: int = 0
    _tiers: Counter[str] = field(default_factory=Counter)
    _statuses: Counter[str] = field(default_factory=Counter)
    _labels: Counter[str] = field(default_factory=Counter)
    _reasons: Counter[str] = field(default_factory=Counter)

    def result(self, at_ms: int, row: Mapping[str, object], began_ms: int | None) -> None:
        """Count a result that was written at ``at_ms``, of a record that began then; None where that is unknown."""
        self._at.append(at_ms)
        self._response.append(_seconds(at_ms, began_ms))
        self._processing.append(_number(row["processing_ms"]) / 1000)
        self._audio_ms += round(_number(row["duration_ms"]))
        if row["tier"] is not None:  # as other programs may write it
            self._tiers[str(row["tier"])] += 1
        self._statuses[str(row["status"])] += 1
        if row["label"] is not None:
            self._labels[str(row["label"])] += 1

    def dead_letter(self, at_ms: int, reason: str, began_ms: int) -> None:
        """Count one."""
        self._dead_at.append(at_ms)
        self._dead_response.append(_seconds(at_ms, began_ms))
        self._reasons[reason] += 1

    def period(self) -> Period:
        """What it comes to."""
        at, dead_at = np.array(self._at, np.int64), np.array(self._dead_at, np.int64)
        responses = np.concatenate([np.array(self._response), np.array(self._dead_response)])
        is_known = ~np.isnan(responses)
        known = responses[is_known]
        edges = np.linspace(self.begin_ms, self.end_ms, PARTS + 1)
        results, dead = np.histogram(at, edges)[0], np.histogram(dead_at, edges)[0]
        ends = np.concatenate([at, dead_at])[is_known]
        sums, counts = np.histogram(ends, edges, weights=known)[0], np.histogram(ends, edges)[0]
        enough = counts >= np.maximum(1, KNOWN * (results + dead))
        return Period(
            begin_ms=self.begin_ms,
            end_ms=self.end_ms,
            results=len(at),
            dead_letters=len(dead_at),
            audio_s=self._audio_ms / 1000,
            response=_spread(known) if len(known) >= KNOWN * len(responses) else None,
            unknown=len(responses) - len(known),
            processing=_spread(np.array(self._processing)),
            tiers=dict(self._tiers.most_common()),
            statuses=dict(self._statuses.most_common()),
            labels=dict(self._labels.most_common()),
            reasons=dict(self._reasons.most_common()),
            parts=tuple(
                Part(round(edges[i]), int(results[i]), int(dead[i]), float(sums[i] / counts[i]) if enough[i] else None)
                for i in range(PARTS)
            ),
        )


def _seconds(at_ms: int, began_ms: int | None) -> float:
    return float("nan") if began_ms is None else max(0, at_ms - began_ms) / 1000


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0


def _spread(seconds: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> Spread | None:
    if not len(seconds):
        return None
    p50, p95, p99 = (float(value) for value in np.percentile(seconds, (50, 95, 99)))
    return Spread(float(seconds.mean()), p50, p95, p99)
