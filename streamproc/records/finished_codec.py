"""Finished segments to bytes and back: one group of them, as it is kept in a shared tier."""

import math
from collections.abc import Sequence

from streamproc.records.checked_avro import CheckedAvro, avro_record
from streamproc.records.finished import FinishedSegment, Stretch

_SEGMENT = avro_record(
    "FinishedSegment",
    channel="long",
    start_ms="long",
    end_ms="long",
    scores={"type": "array", "items": "double"},
)
_AVRO = CheckedAvro(
    "a group of finished segments", b"\x01", avro_record("Finished", segments={"type": "array", "items": _SEGMENT})
)


def finished_to_bytes(segments: Sequence[FinishedSegment]) -> bytes:
    """Encode; ``finished_from_bytes`` gives back equal values, bit for bit in every score."""
    return _AVRO.to_bytes({"segments": [{**one.stretch._asdict(), "scores": one.scores} for one in segments]})


def finished_from_bytes(value: bytes) -> Sequence[FinishedSegment]:
    """Decode. Raises ValueError for bytes that this version did not write, or that changed since."""
    found = [
        FinishedSegment(Stretch(one["channel"], one["start_ms"], one["end_ms"]), tuple(one["scores"]))
        for one in _AVRO.from_bytes(value)["segments"]
    ]
    for one in found:
        if not all(map(math.isfinite, one.scores)):
            raise ValueError(f"a finished segment has scores {one.scores!r:.64}")
    return found
