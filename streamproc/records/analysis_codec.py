"""Analysis to bytes and back, for the tiers that keep it outside the process.

Layout: one version byte, the first 16 bytes of the SHA-256 of what follows, the fields in Avro. The schema is our own
business, read only by the version that wrote it: a tier is a cache, so another version's bytes are simply unknown.
"""

import hashlib
import io
import math
import struct
from dataclasses import asdict
from typing import Any

import fastavro

from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, Status

_VERSION = b"\x01"
_CHECKSUM_BYTES = 16
_SCORES = {"type": "array", "items": "double"}


def _record(name: str, **fields: object) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}


_SEGMENT = _record(
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
_INFO = _record("AudioInfo", duration_ms="long", sample_rate="long", channel_count="long", codec="string")
_SCHEMA = fastavro.parse_schema(
    _record(
        "Analysis",
        status="string",
        labels={"type": "array", "items": "string"},
        scores=_SCORES,
        speech_ms="long",
        info=_INFO,
        segments={"type": "array", "items": _SEGMENT},
    )
)


def analysis_to_bytes(analysis: Analysis) -> bytes:
    """Encode; ``analysis_from_bytes`` gives back an equal value, bit for bit in every score."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _SCHEMA, asdict(analysis))
    body = out.getvalue()
    return _VERSION + _checksum(body) + body


def analysis_from_bytes(value: bytes) -> Analysis:
    """Decode. Raises ValueError for bytes that this version did not write, or that changed since."""
    head = len(_VERSION) + _CHECKSUM_BYTES
    body = value[head:]
    if value[: len(_VERSION)] != _VERSION:
        raise ValueError(f"not an analysis of version {_VERSION.hex()}")
    if value[len(_VERSION) : head] != _checksum(body):
        raise ValueError("the checksum of an analysis does not match its bytes")
    source = io.BytesIO(body)
    try:
        fields: Any = fastavro.schemaless_reader(source, _SCHEMA, None)
    except (EOFError, IndexError, OverflowError, MemoryError, struct.error) as error:
        raise ValueError(f"not an analysis: {type(error).__name__}: {error}") from None
    if source.tell() != len(body):
        raise ValueError("an analysis has bytes after its end")
    return _verified(_build(fields))


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECKSUM_BYTES]


def _build(fields: dict[str, Any]) -> Analysis:
    return Analysis(
        status=Status(fields["status"]),
        labels=tuple(fields["labels"]),
        scores=tuple(fields["scores"]),
        speech_ms=fields["speech_ms"],
        info=AudioInfo(**fields["info"]),
        segments=tuple(SegmentAnalysis(**{**s, "scores": tuple(s["scores"])}) for s in fields["segments"]),
    )


def _verified(analysis: Analysis) -> Analysis:
    """The value itself, when a row can be built from it. The checksum is no signature: whoever can write can forge."""
    for scores in (analysis.scores, *(segment.scores for segment in analysis.segments)):
        if len(scores) not in {0, len(analysis.labels)} or not all(map(math.isfinite, scores)):
            raise ValueError(f"an analysis has scores {scores!r:.64} for {len(analysis.labels)} labels")
    if (analysis.status is Status.OK) != bool(analysis.scores):
        raise ValueError(f"an analysis is {analysis.status} with {len(analysis.scores)} scores")
    return analysis
