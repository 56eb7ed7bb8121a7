"""Analysis to bytes and back, for the tiers that keep it outside the process."""

import math
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, Status
from streamproc.records.checked_avro import CheckedAvro, avro_record

_SCORES = {"type": "array", "items": "double"}
_SEGMENT = avro_record(
    "SegmentAnalysis",
    index="long",
    channel="long",
    start_ms="long",
    end_ms="long",
    speech_ms="long",
    level_dbfs="double",
    label="string",
    confidence="double",
    scores=_SCORES,
)
_INFO = avro_record("AudioInfo", duration_ms="long", sample_rate="long", channel_count="long", codec="string")
_FIELDS: Mapping[str, object] = MappingProxyType(
    {
        "status": "string",
        "labels": {"type": "array", "items": "string"},
        "scores": _SCORES,
        "speech_ms": "long",
        "info": _INFO,
        "segments": {"type": "array", "items": _SEGMENT},
    }
)
_PLAIN = CheckedAvro("an analysis", b"\x01", avro_record("Analysis", **_FIELDS))
"""Without embeddings. A worker that knows no others reads these, and asks for no others."""
_EMBEDDED = CheckedAvro(
    "an analysis", b"\x02", avro_record("Analysis", **_FIELDS, embeddings={"type": "array", "items": "bytes"})
)


_NAMES = {kind: [field.name for field in fields(kind)] for kind in (Analysis, AudioInfo, SegmentAnalysis)}


def analysis_to_bytes(analysis: Analysis) -> bytes:
    """Encode; ``analysis_from_bytes`` gives back an equal value, bit for bit in every score."""
    values = _values(analysis)
    values["info"] = _values(analysis.info)
    values["segments"] = list(map(_values, analysis.segments))
    return (_EMBEDDED if analysis.embeddings else _PLAIN).to_bytes(values)


def analysis_from_bytes(value: bytes) -> Analysis:
    """Decode. Raises ValueError for bytes that this version did not write, or that changed since."""
    return _verified(_build((_EMBEDDED if _EMBEDDED.wrote(value) else _PLAIN).from_bytes(value)))


def _values(one: Analysis | AudioInfo | SegmentAnalysis) -> dict[str, Any]:
    """Of its fields as they are. ``asdict`` copies all that is below them: that takes twice as long as the rest."""
    return {name: getattr(one, name) for name in _NAMES[type(one)]}


def _build(found: dict[str, Any]) -> Analysis:
    return Analysis(
        status=Status(found["status"]),
        labels=tuple(found["labels"]),
        scores=tuple(found["scores"]),
        speech_ms=found["speech_ms"],
        info=AudioInfo(**found["info"]),
        segments=tuple(SegmentAnalysis(**{**s, "scores": tuple(s["scores"])}) for s in found["segments"]),
        embeddings=tuple(found.get("embeddings", ())),
    )


def _verified(analysis: Analysis) -> Analysis:
    """The value itself, when a row can be built from it. The checksum is no signature: whoever can write can forge."""
    for scores in (analysis.scores, *(segment.scores for segment in analysis.segments)):
        if len(scores) not in {0, len(analysis.labels)} or not all(map(math.isfinite, scores)):
            raise ValueError(f"an analysis has scores {scores!r:.64} for {len(analysis.labels)} labels")
    if (analysis.status is Status.OK) != bool(analysis.scores):
        raise ValueError(f"an analysis is {analysis.status} with {len(analysis.scores)} scores")
    if len({len(packed) for packed in analysis.embeddings}) > 1:
        raise ValueError(f"an analysis has embeddings of {[len(packed) for packed in analysis.embeddings]} bytes")
    return analysis
