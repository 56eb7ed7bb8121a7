"""Rows of the results topic: what each channel comes to by itself."""

import json
from typing import Any

import pytest

from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, Status, Tier
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import SCORE_COLUMNS, EmotionResult, Provenance, StoredAt, build_result

EVENT = RecordingEvent("e", 1, "recordings", "call.wav", channels="split")
HOW = Provenance("r", "f", "demo", "0" * 64, Tier.COMPUTED, 1, 2, 3, "audio.recordings", 0, 7)
INFO = AudioInfo(31_000, 8000, 2, "pcm_s16le")


def segment(channel: int, speech_ms: int, *scores: float) -> SegmentAnalysis:
    return SegmentAnalysis(0, channel, 0, 15_000, speech_ms, -20.0, "angry", max(scores), scores)


def row(*segments: SegmentAnalysis, event: RecordingEvent = EVENT) -> EmotionResult:
    scores = (0.6, 0.4) if segments else ()
    status = Status.OK if segments else Status.NO_SPEECH
    return build_result(event, Analysis(status, ("angry", "größer"), scores, 9, INFO, segments), HOW)


def test_each_channel_of_a_split_recording_has_the_mean_of_its_own_segments() -> None:
    found = row(segment(0, 3_000, 0.9, 0.1), segment(1, 5_000, 0.2, 0.8), segment(0, 1_000, 0.5, 0.5))
    first, second = json.loads(found.channels_json or "")
    assert first.pop("scores") == pytest.approx({"angry": 0.8, "größer": 0.2})
    assert first.pop("confidence") == pytest.approx(0.8)
    assert first == {"channel": 0, "label": "angry", "speech_ms": 4_000, "segment_count": 2}
    assert second == {
        "channel": 1,
        "label": "größer",
        "confidence": 0.8,
        "speech_ms": 5_000,
        "segment_count": 1,
        "scores": {"angry": 0.2, "größer": 0.8},
    }


def test_a_channel_in_which_nobody_speaks_has_no_label() -> None:
    silent = {"label": None, "confidence": None, "speech_ms": 0, "segment_count": 0, "scores": None}
    first, second = json.loads(row(segment(1, 500, 1.0, 0.0)).channels_json or "")
    assert first == {"channel": 0, **silent}
    assert second["label"] == "angry"
    assert json.loads(row().channels_json or "") == [{"channel": 0, **silent}, {"channel": 1, **silent}]


def test_mixed_channels_have_nothing_of_their_own() -> None:
    mixed = EVENT._replace(channels="mix")
    assert row(segment(-1, 500, 1.0, 0.0), event=mixed).channels_json is None


def test_what_an_event_and_its_analysis_say_stands_in_the_columns_of_the_same_names() -> None:
    texts = ("event_id", "bucket", "object_key", "tenant", "call_id", "agent", "queue", "language")
    said: dict[str, Any] = {name: f"the {name}" for name in texts}
    event = RecordingEvent(**said, recorded_at=101, attributes={"a": "b"})
    info = AudioInfo(duration_ms=102, sample_rate=103, channel_count=104, codec="the codec")
    labels, scores = SCORE_COLUMNS[::-1], (0.0, 0.01, 0.02, 0.03, 0.04, 0.5, 0.06, 0.07, 0.25)
    analysis = Analysis(Status.OK, labels, scores, 105, info, (segment(-1, 105, *scores),))
    how = Provenance(
        result_id="the result_id",
        fingerprint="the fingerprint",
        model="the model",
        content_sha256="the content_sha256",
        tier=Tier.REDIS,
        attempts=106,
        produced_at=107,
        processing_ms=108,
        input_topic="the input_topic",
        input_partition=109,
        input_offset=110,
    )
    uris = StoredAt(timeline="the timeline_uri", embedding="the embedding_uri")
    found = build_result(event, analysis, how, uris)._asdict()
    ours = {name: found.pop(name) for name in list(found) if found[name] == f"the {name}"}
    assert len(ours) == len(texts) + 8
    assert {name: found.pop(f"score_{name}") for name in SCORE_COLUMNS} == dict(zip(labels, scores, strict=True))
    assert found == {
        "status": Status.OK,
        "label": "happy",
        "confidence": 0.5,
        "margin": 0.25,
        "scores_json": None,
        "channels_json": None,
        "duration_ms": 102,
        "speech_ms": 105,
        "sample_rate": 103,
        "channel_count": 104,
        "segment_count": 1,
        "tier": Tier.REDIS,
        "attempts": 106,
        "attributes_json": '{"a": "b"}',
        "recorded_at": 101,
        "produced_at": 107,
        "processing_ms": 108,
        "input_partition": 109,
        "input_offset": 110,
    }
