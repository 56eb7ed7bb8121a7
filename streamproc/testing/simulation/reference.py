"""What is to be written of a recording, made from what was announced and never from what a worker says of it."""

import base64
import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE, SLOT_SECONDS
from streamproc.records.identity import PREPROCESSING, SEGMENTATION
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import TopicPartition
from streamproc.testing.device import IDENTITY
from streamproc.testing.simulation.reading import End, Origin
from streamproc.testing.simulation.recordings import Announced

_SLOT_MS = SLOT_SECONDS * 1000
_SHORTEST_MS = 25
_LEVEL_DBFS = -20.0
"""Of everything that the fake decoders make."""
_CLOSE = 1e-9
"""What sums in another order may differ by."""
_COLUMNS = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "streamproc:emotion-result")
_IDENTITY = (
    IDENTITY.engine,
    IDENTITY.weights_sha256,
    IDENTITY.precision,
    PREPROCESSING,
    SEGMENTATION,
    "mix",
    "\t".join(IDENTITY.labels),
)
FINGERPRINT = hashlib.sha256("\n".join(_IDENTITY).encode()).hexdigest()[:32]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a recording that is computed as one, its scores by label, and its embedding."""

    start_ms: int
    end_ms: int
    scores: Mapping[str, float]
    embedding: NDArray[np.float32]


@lru_cache(1024)  # recordings of different seeds are mostly the same
def chunks(body: bytes) -> Sequence[Chunk]:
    """What the fake network says of the fake decoders' audio, computed apart from both, one recording at a time."""
    spec = json.loads(body)
    if spec.get("silent") or spec["ms"] < _SHORTEST_MS:
        return ()
    cut_ms = spec.get("cut", _SLOT_MS)
    starts = range(0, spec["ms"], cut_ms)
    return tuple(
        Chunk(start, min(start + cut_ms, spec["ms"]), *_values(body, number)) for number, start in enumerate(starts)
    )


def _values(body: bytes, number: int) -> tuple[Mapping[str, float], NDArray[np.float32]]:
    samples = np.frombuffer(hashlib.sha256(body + bytes([number])).digest(), np.uint8)[: len(IDENTITY.labels)]
    heard: NDArray[np.float32] = samples.astype(np.float32) / np.float32(255)
    head = heard.astype(float) + 0.01
    return dict(zip(IDENTITY.labels, (head / head.sum()).tolist(), strict=True)), heard


def overall(parts: Sequence[Chunk]) -> Mapping[str, float]:
    """Scores of a whole recording: the mean of its chunks, weighted by their length."""
    total = sum(part.end_ms - part.start_ms for part in parts)
    return {
        label: sum((part.end_ms - part.start_ms) * part.scores[label] for part in parts) / total
        for label in (IDENTITY.labels if parts else ())
    }


def result_id(announced: Announced) -> str:
    """The id of its result: a function of the event's own id and the fingerprint."""
    return str(uuid.uuid5(_NAMESPACE, f"e{announced.number}\n{FINGERPRINT}"))


def result_row(topic: str, origin: Origin, one: Announced) -> Row:
    """Every column of its result but those that may differ from one try to the next."""
    body = one.body or b""
    parts = chunks(body)
    scores = overall(parts)
    ranked = sorted(scores.values(), reverse=True)
    attributes = one.fields.get("attributes")
    duration_ms = json.loads(body)["ms"]
    return {
        **_told(one, "tenant", "call_id", "agent", "queue", "language", "recorded_at"),
        **_labelled(scores),
        "result_id": result_id(one),
        "event_id": f"e{one.number}",
        "fingerprint": FINGERPRINT,
        "model": IDENTITY.name,
        "status": str(one.expected),
        "margin": ranked[0] - ranked[1] if ranked else None,
        "scores_json": None,
        "channels_json": None,
        "bucket": one.fields.get("bucket", "recordings"),
        "object_key": one.object_key,
        "content_sha256": hashlib.sha256(body).hexdigest(),
        "duration_ms": duration_ms,
        "speech_ms": duration_ms if parts else 0,
        "sample_rate": SAMPLE_RATE,
        "channel_count": 1,
        "codec": "json",
        "segment_count": len(parts),
        "attributes_json": None if attributes is None else _clean(attributes),
        "embedding_uri": f"s3://recordings/{embedding_path(one)}" if "embedding" in one.asked else None,
        "timeline_uri": f"s3://recordings/{timeline_path(one)}" if "timeline" in one.asked else None,
        "input_topic": topic,
        "input_partition": origin.partition,
        "input_offset": origin.offset,
    }


def timeline_path(one: Announced) -> str:
    """Where its timeline is."""
    return f"{_folder(one)}/timeline.json"


def embedding_path(one: Announced) -> str:
    """Where its embedding is."""
    return f"{_folder(one)}/embedding.npy"


def _folder(one: Announced) -> str:
    """Workers share what they compute with all tenants."""
    content, everybody = hashlib.sha256(one.body or b"").hexdigest(), hashlib.sha256(b"global").hexdigest()[:16]
    return f"analyses/{content}/{FINGERPRINT}/{everybody}"


def embedding_row(one: Announced) -> NDArray[np.float64]:
    """The one row of its embedding: the mean of its chunks, weighted by their length."""
    parts = chunks(one.body or b"")
    lengths = [part.end_ms - part.start_ms for part in parts]
    return np.average([part.embedding for part in parts], axis=0, weights=lengths)


def timeline_rows(one: Announced) -> Sequence[Row]:
    """What its timeline says: first of the whole, then of each segment."""
    parts = chunks(one.body or b"")
    whole: Row = {"version": 1, "duration_ms": json.loads(one.body or b"")["ms"], "labels": list(IDENTITY.labels)}
    return [whole, *(_timeline_row(index, part) for index, part in enumerate(parts))]


def _timeline_row(index: int, part: Chunk) -> Row:
    told = _labelled(part.scores)
    return {
        "index": index,
        "channel": -1,
        "start_ms": part.start_ms,
        "end_ms": part.end_ms,
        "speech_ms": part.end_ms - part.start_ms,
        "level_dbfs": _LEVEL_DBFS,
        "label": told["label"],
        "confidence": told["confidence"],
        **part.scores,
    }


def segment_rows(one: Announced) -> Sequence[Row]:
    """Every column of the rows of its segments, in the order of the recording; none unless its event asks for them."""
    if "segments" not in one.asked:
        return ()
    return [
        {
            **_told(one, "call_id", "recorded_at"),
            **_labelled(part.scores),
            "segment_id": str(uuid.uuid5(_NAMESPACE, f"{result_id(one)}\n{index}")),
            "result_id": result_id(one),
            "event_id": f"e{one.number}",
            "index": index,
            "channel": -1,
            "start_ms": part.start_ms,
            "end_ms": part.end_ms,
            "level_dbfs": _LEVEL_DBFS,
        }
        for index, part in enumerate(chunks(one.body or b""))
    ]


def ledger_row(slot: str, place: TopicPartition, ends: Sequence[tuple[int, End]]) -> Row:
    """The row of one partition in a transaction, but for its time; ``ends`` by offset, in order."""
    counts = Counter(end.kind for _, end in ends)
    lines = "".join(f"{offset}:{end.kind}:{end.result_id}\n" for offset, end in ends)
    return {
        "slot": slot,
        "input_topic": place.topic,
        "input_partition": place.partition,
        "first_offset": ends[0][0],
        "last_offset": ends[-1][0],
        "results": counts[OutcomeKind.RESULT],
        "retries": counts[OutcomeKind.RETRY],
        "dead_letters": counts[OutcomeKind.DEAD_LETTER],
        "digest": hashlib.sha256(lines.encode()).hexdigest(),
    }


def kept_whole(one: Announced) -> Row:
    """What is in the store of a record that no topic takes."""
    return {
        "key": base64.b64encode(one.key).decode(),
        "value": None if one.value is None else base64.b64encode(one.value).decode(),
        "headers": [[name, None if held is None else base64.b64encode(held).decode()] for name, held in one.headers],
    }


def differences(found: Row, expected: Row) -> Mapping[str, tuple[Any, Any]]:
    """Columns that are not as expected, with both values; one that only one of them has counts, None or not."""
    missing = object()
    both = {name: (found.get(name, missing), expected.get(name, missing)) for name in {**expected, **found}}
    return {name: (one, other) for name, (one, other) in both.items() if not _equal(one, other)}


def _equal(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _CLOSE
    return type(one) is type(other) and one == other


def _told(one: Announced, *names: str) -> Row:
    return {name: one.fields.get(name) for name in names}


def _labelled(scores: Mapping[str, float]) -> Row:
    most = max(scores.values(), default=None)
    return {
        "label": next((label for label, score in scores.items() if most is not None and most - score <= _CLOSE), None),
        "confidence": most,
        **{f"score_{label}": scores.get(label) for label in _COLUMNS},
    }


def _clean(attributes: Mapping[str, str]) -> str:
    return json.dumps(attributes, ensure_ascii=False).replace("\\u0000", "")
