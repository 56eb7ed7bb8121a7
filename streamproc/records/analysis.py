"""Analysis: what the network and the rules say about some bytes. A pure value of its content key."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Status(StrEnum):
    """Whether there was anything to label."""

    OK = "ok"
    NO_SPEECH = "no_speech"
    TOO_SHORT = "too_short"


MIX = -1
"""The channel of a segment of all channels' mean."""


class Tier(StrEnum):
    """Where an analysis came from."""

    MEMORY = "memory"
    REDIS = "redis"
    ARCHIVE = "archive"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What decoding learned about a recording."""

    duration_ms: int
    sample_rate: int
    """Of the file, in Hz, before resampling."""
    channel_count: int
    codec: str


@dataclass(frozen=True, slots=True)
class SegmentAnalysis:
    """The scores of one segment. ``scores`` is in the model's label order."""

    index: int
    channel: int
    """0-based channel of the file with ``split``; -1 for the mix."""
    start_ms: int
    end_ms: int
    speech_ms: int
    level_dbfs: float
    label: str
    confidence: float
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The outcome of a computation; ``scores`` is empty unless ``status`` is ok."""

    status: Status
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    speech_ms: int
    info: AudioInfo
    segments: tuple[SegmentAnalysis, ...]
    embeddings: tuple[bytes, ...] = ()
    """Of each channel, or the one of the mix, packed (``records.embedding``); none unless they were wanted."""

    def without_embeddings(self) -> "Analysis":
        """What it would be had nobody wanted them."""
        return replace(self, embeddings=()) if self.embeddings else self


def best(labels: Sequence[str], scores: Sequence[float]) -> tuple[str, float]:
    """The label with the highest score, and that score."""
    top = max(range(len(scores)), key=scores.__getitem__)
    return labels[top], scores[top]


SHORTEST_MS = 25
"""The receptive field of the network: less has no frame."""


def whole(
    labels: tuple[str, ...],
    info: AudioInfo,
    speech_ms: int,
    found: Sequence[SegmentAnalysis],
    embeddings: tuple[bytes, ...] = (),
) -> Analysis:
    """The analysis of a recording from those of its segments, in whatever order they were found."""
    segments = tuple(sorted(found, key=lambda segment: segment.index))
    status = Status.OK
    if not segments:
        status = Status.TOO_SHORT if info.duration_ms < SHORTEST_MS else Status.NO_SPEECH
    return Analysis(status, labels, aggregate(segments) if segments else (), speech_ms, info, segments, embeddings)


def aggregate(segments: Sequence[SegmentAnalysis]) -> tuple[float, ...]:
    """Scores of a recording from those of its segments: the mean weighted by each segment's speech.

    ``score[c] = sum_i(speech_ms_i * score_i[c]) / sum_i(speech_ms_i)``. One segment gives its own scores unchanged,
    so audio of at most 15 s equals the reference model (G3).
    """
    if len(segments) == 1:
        return segments[0].scores
    total = sum(s.speech_ms for s in segments)
    columns = zip(*(s.scores for s in segments), strict=True)
    return tuple(sum(s.speech_ms * x for s, x in zip(segments, column, strict=True)) / total for column in columns)
