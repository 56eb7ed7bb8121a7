"""Finished segments to bytes and back: one group of them, as it is kept in a shared tier."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from streamproc.records.checked_avro import CheckedAvro, avro_record
from streamproc.records.finished import FinishedSegment, Stretch

_FIELDS: Mapping[str, object] = MappingProxyType(
    {"channel": "long", "start_ms": "long", "end_ms": "long", "scores": {"type": "array", "items": "double"}}
)


def _codec(version: bytes, **more: object) -> CheckedAvro:
    segment = avro_record("FinishedSegment", **_FIELDS, **more)
    schema = avro_record("Finished", segments={"type": "array", "items": segment})
    return CheckedAvro("a group of finished segments", version, schema)


_PLAIN = _codec(b"\x01")
"""Without embeddings. A worker that knows no others reads these, and asks for no others."""
_EMBEDDED = _codec(b"\x02", embedding="bytes")


def finished_to_bytes(segments: Sequence[FinishedSegment]) -> bytes:
    """Encode; ``finished_from_bytes`` gives back equal values, bit for bit in every score."""
    codec = _EMBEDDED if any(one.embedding for one in segments) else _PLAIN
    fields = [{**one.stretch._asdict(), "scores": one.scores, "embedding": one.embedding} for one in segments]
    return codec.to_bytes({"segments": fields})


def finished_from_bytes(value: bytes) -> Sequence[FinishedSegment]:
    """Decode. Raises ValueError for bytes that this version did not write, or that changed since."""
    codec = _EMBEDDED if _EMBEDDED.wrote(value) else _PLAIN
    found = [
        FinishedSegment(
            Stretch(one["channel"], one["start_ms"], one["end_ms"]), tuple(one["scores"]), one.get("embedding", b"")
        )
        for one in codec.from_bytes(value)["segments"]
    ]
    for one in found:
        if not all(map(math.isfinite, one.scores)):
            raise ValueError(f"a finished segment has scores {one.scores!r:.64}")
    return found
