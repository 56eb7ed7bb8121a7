"""EmotionSegment: one flat row per segment of a result."""

from collections.abc import Iterator
from dataclasses import dataclass

from streamproc.records.analysis import Analysis
from streamproc.records.identity import segment_id
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import score_columns


@dataclass(frozen=True, slots=True)
class EmotionSegment:
    """One row of the segments topic; ``channel`` is -1 for the mix of all channels."""

    segment_id: str
    result_id: str
    event_id: str
    index: int
    channel: int
    start_ms: int
    end_ms: int
    label: str | None
    confidence: float | None
    score_angry: float | None
    score_disgusted: float | None
    score_fearful: float | None
    score_happy: float | None
    score_neutral: float | None
    score_other: float | None
    score_sad: float | None
    score_surprised: float | None
    score_unknown: float | None
    level_dbfs: float | None
    call_id: str | None
    recorded_at: int


def build_segments(event: RecordingEvent, analysis: Analysis, result_id: str) -> Iterator[EmotionSegment]:
    """One row per segment, in the order of the recording."""
    for segment in analysis.segments:
        yield EmotionSegment(
            **score_columns(dict(zip(analysis.labels, segment.scores, strict=True))),
            segment_id=segment_id(result_id, segment.index),
            result_id=result_id,
            event_id=event.event_id,
            index=segment.index,
            channel=segment.channel,
            start_ms=segment.start_ms,
            end_ms=segment.end_ms,
            label=segment.label,
            confidence=segment.confidence,
            level_dbfs=segment.level_dbfs,
            call_id=event.call_id,
            recorded_at=event.recorded_at,
        )
