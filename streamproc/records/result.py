"""EmotionResult: one flat row per event and fingerprint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from streamproc.records.analysis import Analysis, Tier, aggregate, best
from streamproc.records.recording import RecordingEvent

SCORE_COLUMNS = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")
"""Labels that have a column of their own; other label sets go into ``scores_json``."""


class ScoredColumns(NamedTuple):
    """What a row says of the scores: its columns from ``label`` to ``scores_json``, in their order."""

    label: str | None
    confidence: float | None
    margin: float | None
    score_angry: float | None
    score_disgusted: float | None
    score_fearful: float | None
    score_happy: float | None
    score_neutral: float | None
    score_other: float | None
    score_sad: float | None
    score_surprised: float | None
    score_unknown: float | None
    scores_json: str | None


class EmotionResult(NamedTuple):
    """One row of the results topic. Times in ms since the epoch, spans in ms."""

    result_id: str
    event_id: str
    fingerprint: str
    model: str
    status: str
    label: str | None
    confidence: float | None
    margin: float | None
    score_angry: float | None
    score_disgusted: float | None
    score_fearful: float | None
    score_happy: float | None
    score_neutral: float | None
    score_other: float | None
    score_sad: float | None
    score_surprised: float | None
    score_unknown: float | None
    scores_json: str | None
    channels_json: str | None
    bucket: str
    object_key: str
    content_sha256: str
    duration_ms: int
    speech_ms: int
    sample_rate: int
    channel_count: int
    codec: str
    segment_count: int
    tier: str
    attempts: int
    tenant: str | None
    call_id: str | None
    agent: str | None
    queue: str | None
    language: str | None
    attributes_json: str | None
    recorded_at: int
    produced_at: int
    processing_ms: int
    embedding_uri: str | None
    timeline_uri: str | None
    input_topic: str
    input_partition: int
    input_offset: int


class Provenance(NamedTuple):
    """How one result came about, beside the analysis itself."""

    result_id: str
    fingerprint: str
    model: str
    content_sha256: str
    tier: Tier
    attempts: int
    produced_at: int
    processing_ms: int
    input_topic: str
    input_partition: int
    input_offset: int


@dataclass(frozen=True, slots=True)
class StoredAt:
    """Where the objects of a result are; None for what was not wanted."""

    timeline: str | None = None
    embedding: str | None = None


def score_columns(scores: Mapping[str, float]) -> dict[str, Any]:
    """The score columns of a row; a label the model lacks is null."""
    return {f"score_{label}": scores.get(label) for label in SCORE_COLUMNS}


def channels_json(analysis: Analysis) -> str:
    """The aggregate of each channel of a split recording by itself, by the formula of the whole.

    A channel in which nobody speaks has null for what only speech has.
    """
    channels = [_channel(analysis, channel) for channel in range(analysis.info.channel_count)]
    return json.dumps(channels, ensure_ascii=False)


def _channel(analysis: Analysis, channel: int) -> Mapping[str, object]:
    segments = [segment for segment in analysis.segments if segment.channel == channel]
    scores = aggregate(segments) if segments else ()
    label, confidence = best(analysis.labels, scores) if scores else (None, None)
    return {
        "channel": channel,
        "label": label,
        "confidence": confidence,
        "speech_ms": sum(segment.speech_ms for segment in segments),
        "segment_count": len(segments),
        "scores": dict(zip(analysis.labels, scores, strict=True)) if scores else None,
    }


def attributes_json(attributes: Mapping[str, str]) -> str | None:
    """Attributes as a JSON object, None when there are none. Without U+0000, which sinks refuse escaped as well."""
    if not attributes:
        return None
    clean = {name.replace("\0", ""): value.replace("\0", "") for name, value in attributes.items()}
    return json.dumps(clean, ensure_ascii=False)


def build_result(
    event: RecordingEvent, analysis: Analysis, how: Provenance, uris: StoredAt = StoredAt()
) -> EmotionResult:
    """Join an event, an analysis, its provenance and where its objects are into a row."""
    info = analysis.info
    return EmotionResult(  # by place: it is made for each event, and by name it takes twice as long
        how.result_id,
        event.event_id,
        how.fingerprint,
        how.model,
        analysis.status,
        *scored_columns(analysis.labels, analysis.scores),
        channels_json(analysis) if event.channels == "split" else None,
        event.bucket,
        event.object_key,
        how.content_sha256,
        info.duration_ms,
        analysis.speech_ms,
        info.sample_rate,
        info.channel_count,
        info.codec,
        len(analysis.segments),
        how.tier,
        how.attempts,
        event.tenant,
        event.call_id,
        event.agent,
        event.queue,
        event.language,
        attributes_json(event.attributes),
        event.recorded_at,
        how.produced_at,
        how.processing_ms,
        uris.embedding,
        uris.timeline,
        how.input_topic,
        how.input_partition,
        how.input_offset,
    )


@lru_cache(1_024)
def scored_columns(labels: tuple[str, ...], scores: tuple[float, ...]) -> ScoredColumns:
    """What a row says of the scores of a recording, which are empty unless there was anything to label.

    It is asked for again with each repetition of a recording.
    """
    by_label = dict(zip(labels, scores, strict=True)) if scores else {}
    ranked = sorted(scores, reverse=True)
    return ScoredColumns(
        **score_columns(by_label),
        label=best(labels, scores)[0] if scores else None,
        confidence=ranked[0] if ranked else None,
        margin=ranked[0] - (ranked[1] if len(ranked) > 1 else 0.0) if ranked else None,
        scores_json=json.dumps(by_label, ensure_ascii=False) if by_label.keys() - set(SCORE_COLUMNS) else None,
    )
