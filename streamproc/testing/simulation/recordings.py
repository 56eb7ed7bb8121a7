"""What upstream announces in a run: records of every kind, each with the end that it must come to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from streamproc.arena import SLOT_SECONDS
from streamproc.errors import Reason
from streamproc.records.analysis import Status
from streamproc.records.record import Headers
from streamproc.records.topics import MAX_FORWARDED_BYTES
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.engine import POISON

UNKNOWN_SCHEMA = 7
_SILENT_ABOUT = 3


class Victim(StrEnum):
    """Whom a recording kills, each time."""

    DECODER = "decoder"
    DEVICE = "device"
    FETCHER = "fetcher"
    """The worker, when it has fetched it."""
    FEEDER = "feeder"
    """The worker, when it has given it to a decoder."""
    READER = "reader"
    """The worker, when it reads the event."""


class Kind(StrEnum):
    """What a record is."""

    PLAIN = "plain"
    REPEAT = "repeat"
    SEGMENTS = "segments"
    LONG = "long"
    LONG_SEGMENTS = "long_segments"
    HOURS = "hours"
    """So many segments that they take the device longer than a drain may last."""
    TIMELINE = "timeline"
    """Its timeline is asked for."""
    EMBEDDING = "embedding"
    """Its embedding is asked for; another record may have the same bytes."""
    HOURS_EMBEDDING = "hours_embedding"
    SILENT = "silent"
    SHORT = "short"
    LATE = "late"
    """Its object is stored after it is announced."""
    FLAKY = "flaky"
    """The store fails on it a few times."""
    BROKEN = "broken"
    """The store fails on it for ever, and on it alone."""
    MISSING = "missing"
    GARBAGE = "garbage"
    TOMBSTONE = "tombstone"
    FOREIGN = "foreign"
    UNDECODABLE = "undecodable"
    POISONED = "poisoned"
    """The network breaks on its first segment, and every pass that this segment is in."""
    UNKNOWN = "unknown"
    HEADERS = "headers"
    HUGE = "huge"
    """Too large for any topic: its original goes to the store."""
    KILLS_DECODER = "kills_decoder"
    KILLS_DEVICE = "kills_device"
    KILLS_WORKER = "kills_worker"


EXPECTED: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.PLAIN: Status.OK,
        Kind.REPEAT: Status.OK,
        Kind.SEGMENTS: Status.OK,
        Kind.LONG: Status.OK,
        Kind.LONG_SEGMENTS: Status.OK,
        Kind.HOURS: Status.OK,
        Kind.TIMELINE: Status.OK,
        Kind.EMBEDDING: Status.OK,
        Kind.HOURS_EMBEDDING: Status.OK,
        Kind.LATE: Status.OK,
        Kind.FLAKY: Status.OK,
        Kind.SILENT: Status.NO_SPEECH,
        Kind.SHORT: Status.TOO_SHORT,
        Kind.BROKEN: Reason.RETRIES_EXHAUSTED,
        Kind.MISSING: Reason.OBJECT_MISSING,
        Kind.GARBAGE: Reason.AVRO_INVALID,
        Kind.TOMBSTONE: Reason.EVENT_INVALID,
        Kind.FOREIGN: Reason.BUCKET_FORBIDDEN,
        Kind.UNDECODABLE: Reason.DECODE_FAILED,
        Kind.POISONED: Reason.MODEL_FAILED,
        Kind.UNKNOWN: Reason.SCHEMA_UNKNOWN,
        Kind.HEADERS: Reason.HEADERS_TOO_LARGE,
        Kind.HUGE: Reason.EVENT_INVALID,
        Kind.KILLS_DECODER: Reason.KILLED_WORKER,
        Kind.KILLS_DEVICE: Reason.KILLED_WORKER,
        Kind.KILLS_WORKER: Reason.KILLED_WORKER,
    }
)
"""The status of the result, or the reason of the dead letter, that a record of this kind must end as."""

_SEGMENTS: Mapping[str, object] = MappingProxyType({"outputs": ["scores", "segments"]})
_FIELDS: Mapping[Kind, Mapping[str, object]] = MappingProxyType(
    {
        Kind.SEGMENTS: _SEGMENTS,
        Kind.LONG_SEGMENTS: _SEGMENTS,
        Kind.HOURS: {"outputs": ["scores", "segments", "timeline"]},
        Kind.TIMELINE: {"outputs": ["timeline"]},
        Kind.EMBEDDING: {"outputs": ["embedding"]},
        Kind.HOURS_EMBEDDING: {"outputs": ["embedding", "timeline"]},
        Kind.SILENT: _SEGMENTS,  # it has none
        Kind.FOREIGN: {"bucket": "elsewhere"},
    }
)
_VICTIMS: Mapping[Kind, tuple[Victim, ...]] = MappingProxyType(
    {
        Kind.KILLS_DECODER: (Victim.DECODER,),
        Kind.KILLS_DEVICE: (Victim.DEVICE,),
        Kind.KILLS_WORKER: (Victim.FETCHER, Victim.FEEDER, Victim.READER),
    }
)
_HUGE = b"1:" + b"x" * MAX_FORWARDED_BYTES
_TOO_MANY: Headers = tuple((f"h{number}", b"v") for number in range(100))
_HOURS_CUT_MS = 40
_RECORDED_AT_MS = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Announced:
    """One record of the input, and the object that it names."""

    number: int
    kind: Kind
    partition: int
    key: bytes
    value: bytes | None
    fields: Mapping[str, Any]
    """What its event says; nothing where it has none that can be read."""
    headers: Headers = ()
    body: bytes | None = None
    """What is in the store, under ``object_key``."""
    failures: int = 0
    """How often the store fails on it."""
    aged: bool = False
    """Whether its timestamp is older than an object may be late."""

    @property
    def object_key(self) -> str:
        """Its object's name."""
        return f"r{self.number}.wav"

    @property
    def asked(self) -> Sequence[str]:
        """Outputs that its event asks for."""
        asked: Sequence[str] = self.fields.get("outputs", ("scores",))
        return asked

    @property
    def expected(self) -> str:
        """How it must end."""
        return EXPECTED[self.kind]


def victim(body: bytes) -> Victim | None:
    """Whom a recording kills; most nobody."""
    return Victim(json.loads(body)["kills"]) if b'"kills"' in body else None


@lru_cache(1024)  # seeds differ in what they put together
def announce(number: int, kind: Kind, partition: int, key: bytes, like: int | None) -> Announced:
    """Make the record of one number; ``like`` is the number whose bytes it has, if not its own."""
    body = _body(number, kind, like)
    readable = kind not in {Kind.TOMBSTONE, Kind.GARBAGE, Kind.HUGE}
    described = {**_described(number), **_declared(number, body), **_FIELDS.get(kind, {}), **_deadly(number, kind)}
    fields = described if readable else {}
    return Announced(
        number=number,
        kind=kind,
        partition=partition,
        key=key,
        value=_value(number, kind, fields),
        fields=fields,
        headers=_TOO_MANY if kind is Kind.HEADERS else _headers(number),
        body=body,
        failures={Kind.FLAKY: 2, Kind.BROKEN: 1_000_000}.get(kind, 0),
        aged=kind is Kind.MISSING,
    )


def _value(number: int, kind: Kind, fields: Mapping[str, object]) -> bytes | None:
    match kind:
        case Kind.TOMBSTONE:
            return None
        case Kind.GARBAGE:
            return b"garbage"
        case Kind.HUGE:
            return _HUGE
        case _:
            schema = UNKNOWN_SCHEMA if kind is Kind.UNKNOWN else 1
            return encode_event(object_key=f"r{number}.wav", event_id=f"e{number}", schema=schema, fields=fields)


def _headers(number: int) -> Headers:
    """Of every third record some that a worker has no business with, one of which claims to be its own."""
    if number % 3:
        return ()
    return (("trace", b"%d" % number), ("trace", None), ("sp-attempts", b"99"))


def _described(number: int) -> Mapping[str, object]:
    """What goes from an event into its rows as it is: of every second one hardly anything."""
    when: Mapping[str, object] = {"recorded_at": _RECORDED_AT_MS + number}
    if number % 2:
        return when
    names = ("tenant", "call_id", "agent", "queue", "language")
    # A sink would refuse U+0000, so no row may have it.
    return {**when, **{name: f"{name} {number}" for name in names}, "attributes": {"n\0": f"{number}\0", "ä": "é"}}


def _deadly(number: int, kind: Kind) -> Mapping[str, object]:
    """How an event says that it kills its reader."""
    return {"attributes": {"kills": Victim.READER.value}} if _victim(number, kind) is Victim.READER else {}


def _victim(number: int, kind: Kind) -> Victim | None:
    victims = _VICTIMS.get(kind)
    return None if victims is None else victims[number % len(victims)]


def _declared(number: int, body: bytes | None) -> Mapping[str, object]:
    """What an event says of its recording: of every fourth one nothing, so that it weighs more than it does."""
    if body is None or number % 4 == _SILENT_ABOUT:
        return {}
    said: Mapping[str, object] = {"size_bytes": len(body), "duration_ms": json.loads(body)["ms"]}
    return {**said, "content_sha256": hashlib.sha256(body).hexdigest()} if number % 2 else said


def _body(number: int, kind: Kind, like: int | None) -> bytes | None:
    match kind:
        case Kind.MISSING | Kind.GARBAGE | Kind.TOMBSTONE | Kind.HUGE:
            return None
        case Kind.LONG | Kind.LONG_SEGMENTS:
            slots = 1 if kind is Kind.LONG else 2
            return recording(1000 * SLOT_SECONDS * slots + 30, name=number)
        case Kind.HOURS | Kind.HOURS_EMBEDDING:
            return recording(30 * _HOURS_CUT_MS, name=number, cut=_HOURS_CUT_MS)
        case Kind.SILENT | Kind.SHORT:
            return recording(200, name=number, silent=1) if kind is Kind.SILENT else recording(10, name=number)
        case Kind.UNDECODABLE | Kind.KILLS_DECODER | Kind.KILLS_DEVICE | Kind.KILLS_WORKER:
            kills = _victim(number, kind)
            harm = {"fail": Reason.DECODE_FAILED} if kills is None else {"kills": kills}
            return recording(50, name=number, **harm)
        case _:
            poison = {"poison": tuple(POISON)[number % len(POISON)]} if kind is Kind.POISONED else {}
            source = number if like is None else like
            # Lengths that one compute batch takes together, and one that it does not.
            return recording(30 + 10 * (source % 3), name=source, **poison)
