"""Rows of the results topic: what each channel comes to by itself."""

import json

import pytest

from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, Status, Tier
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult, Provenance, build_result

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
