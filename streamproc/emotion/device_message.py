"""Messages between the main process and its device process: one JSON object each, on a pair of SOCK_SEQPACKET sockets.

The kernel keeps their boundaries, so there is no framing, and nothing is unpickled.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streamproc.analyzer import MOST_WORDS
from streamproc.arena import Lease
from streamproc.records.compute import BatchDone, ItemError, SegmentHandle
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile

MAX_ITEMS = 128
"""Scores of ``MOST_LABELS`` for each are 197 KB at most, messages of ``MOST_WORDS`` 160 KB."""
MAX_BYTES = 208 * 1024
"""What Linux grants a socket's buffer by default, some words less: a message that is longer cannot be sent."""


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


def encode_start(start: Start) -> str:
    """One argument for the command line."""
    return json.dumps(asdict(start))


def decode_start(argument: str) -> Start:
    """The inverse of ``encode_start``."""
    return Start(**json.loads(argument))


def encode_batch(batch: int, items: Sequence[SegmentHandle]) -> bytes:
    """What ``submit`` sends."""
    return _encode({"batch": batch, "items": [tuple(item.lease) for item in items]})


def decode_batch(message: bytes) -> tuple[int, list[Lease]]:
    """The inverse of ``encode_batch``: the device needs no more than the leases."""
    body = json.loads(message)
    return body["batch"], [Lease(*item) for item in body["items"]]


def encode_answer(answer: Ready | Refused | BatchDone) -> bytes:
    """What a child sends. Of an item's message the first ``MOST_WORDS`` characters."""
    match answer:
        case Ready(identity, profile):
            return _encode({"ready": {"identity": asdict(identity), "profile": asdict(profile)}})
        case Refused(problem):
            return _encode({"refused": problem})
        case BatchDone(batch, items, seconds, padding):
            values = [{"error": item.message[:MOST_WORDS]} if isinstance(item, ItemError) else item for item in items]
            return _encode({"done": {"batch": batch, "items": values, "seconds": seconds, "padding": padding}})


def decode_answer(message: bytes) -> Ready | Refused | BatchDone:
    """The inverse of ``encode_answer``. Raises ValueError for anything else."""
    match json.loads(message):
        case {"ready": {"identity": identity, "profile": profile}}:
            labels = tuple(identity.pop("labels"))
            return Ready(ModelIdentity(**identity, labels=labels), Profile(**profile))
        case {"refused": str(problem)}:
            return Refused(problem)
        case {"done": {"batch": int(batch), "items": items, "seconds": float(seconds), "padding": int(padding)}}:
            values = tuple(ItemError(i["error"]) if isinstance(i, dict) else tuple(i) for i in items)
            return BatchDone(batch, values, seconds, padding)
        case other:
            raise ValueError(f"no answer of a device process: {str(other)[:100]}")


def _encode(body: dict[str, Any]) -> bytes:
    # Not as ASCII, where a character may take twelve bytes. Half of a surrogate pair is no character: a question mark.
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
