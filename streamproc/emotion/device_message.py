"""Messages between the main process and its device process: one JSON object each, on a pair of SOCK_SEQPACKET sockets.

The kernel keeps their boundaries, so there is no framing, and nothing is unpickled.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streamproc.analyzer import MOST_WORDS
from streamproc.arena import Lease
from streamproc.records.compute import BatchDone, ItemError, Scored, SegmentHandle
from streamproc.records.embedding import MOST_DIM
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile

MAX_ITEMS = 128
"""Scores of ``MOST_LABELS`` for each are 197 KB at most, messages of ``MOST_WORDS`` 160 KB; embeddings go singly."""
MAX_BYTES = 208 * 1024
"""What Linux grants a socket's buffer by default, some words less: a message that is longer cannot be sent."""


_MOST_BASE64 = 4 * -(-4 * MOST_DIM // 3)


@dataclass(frozen=True, slots=True)
class Start:
    """What a child is told on its command line."""

    socket: int
    arena: int
    slots: int
    engine: str
    model: str
    device: str
    precision: str
    weights: str
    threads: int
    max_batch_seconds: float


@dataclass(frozen=True, slots=True)
class Ready:
    """The network is loaded, warm and timed."""

    identity: ModelIdentity
    profile: Profile


@dataclass(frozen=True, slots=True)
class Refused:
    """The child will not serve this checkpoint or device, now or after a restart."""

    problem: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedding of one item of a batch, by its place; it goes ahead of the batch's values."""

    batch: int
    place: int
    embedding: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """What a child is told of one item: the device needs no more."""

    lease: Lease
    embedding: bool
    """Whether it is wanted."""


def encode_start(start: Start) -> str:
    """One argument for the command line."""
    return json.dumps(asdict(start))


def decode_start(argument: str) -> Start:
    """The inverse of ``encode_start``."""
    return Start(**json.loads(argument))


def encode_batch(batch: int, items: Sequence[SegmentHandle]) -> bytes:
    """What ``submit`` sends."""
    return _encode({"batch": batch, "items": [(*item.lease, item.embedding) for item in items]})


def decode_batch(message: bytes) -> tuple[int, list[Item]]:
    """The inverse of ``encode_batch``."""
    body = json.loads(message)
    return body["batch"], [Item(Lease(slot, generation), wanted) for slot, generation, wanted in body["items"]]


def encode_done(done: BatchDone) -> Iterator[bytes]:
    """What a child sends of a batch: each embedding, then all else."""
    for place, item in enumerate(done.items):
        if isinstance(item, Scored) and item.embedding:
            yield encode_answer(Embedded(done.batch, place, item.embedding))
    yield encode_answer(done)


def encode_answer(answer: Ready | Refused | Embedded | BatchDone) -> bytes:
    """One message of a child. Of an item's words the first ``MOST_WORDS`` characters; of a batch no embedding."""
    match answer:
        case Ready(identity, profile):
            return _encode({"ready": {"identity": asdict(identity), "profile": asdict(profile)}})
        case Refused(problem):
            return _encode({"refused": problem})
        case Embedded(batch, place, embedding):
            return _encode({"embedded": {"batch": batch, "place": place, "base64": b64encode(embedding).decode()}})
        case BatchDone(batch, items, seconds, padding):
            values = [
                {"error": item.message[:MOST_WORDS]} if isinstance(item, ItemError) else item.scores for item in items
            ]
            return _encode({"done": {"batch": batch, "items": values, "seconds": seconds, "padding": padding}})


def decode_answer(message: bytes) -> Ready | Refused | Embedded | BatchDone:
    """The inverse of ``encode_answer``. Raises ValueError for anything else."""
    match json.loads(message):
        case {"ready": {"identity": identity, "profile": profile}}:
            labels = tuple(identity.pop("labels"))
            return Ready(ModelIdentity(**identity, labels=labels), Profile(**profile))
        case {"refused": str(problem)}:
            return Refused(problem)
        case {"embedded": {"batch": int(batch), "place": int(place), "base64": str(text)}} if len(text) <= _MOST_BASE64:
            return Embedded(batch, place, b64decode(text, validate=True))
        case {"done": {"batch": int(batch), "items": items, "seconds": float(seconds), "padding": int(padding)}}:
            values = tuple(ItemError(i["error"]) if isinstance(i, dict) else Scored(tuple(i)) for i in items)
            return BatchDone(batch, values, seconds, padding)
        case other:
            raise ValueError(f"no answer of a device process: {str(other)[:100]}")


def _encode(body: dict[str, Any]) -> bytes:
    # Not as ASCII, where a character may take twelve bytes. Half of a surrogate pair is no character: a question mark.
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
