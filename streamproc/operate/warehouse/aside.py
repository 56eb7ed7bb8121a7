"""What connectors could not read and put aside on their dead-letter topic, and why, in words that say what to do.

The converter's own words are often about something else: of text it says that an ``artifactId`` is null, of a registry
that is away nothing at all (Apicurio 2.6.13).
"""

import struct
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from streamproc.errors import UsageError
from streamproc.kafka.log import GoneError, Log
from streamproc.kafka.messages import whole
from streamproc.operate.place import Place
from streamproc.operate.warehouse.connectors import TRIAL
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import Settings

HEADER = "__connect.errors."
"""Before the names of the headers in which Connect says what happened."""
MAGIC = b"\0"
_ID = struct.Struct(">xI")
"""Before an Avro record: a zero, and the number of its schema."""
_CONVERTER = "VALUE_CONVERTER"
_UNKNOWN, _UNANSWERED = "ContentNotFoundException", "RestClientException"
"""Apicurio's client: the registry does not have it; whatever else went wrong with a question."""
FOREIGN = "another program writes to this topic: stop it, or let it be"


@dataclass(frozen=True, slots=True)
class PutAside:
    """One record that a connector put aside."""

    place: Place
    """On the topic of what was put aside."""
    connector: str
    origin: str
    """Where it was read, as TOPIC/PARTITION/OFFSET."""
    at_ms: int
    """Its own time, in ms since the epoch: Connect keeps it, and tells none of its own."""
    why: str
    advice: str
    said: str
    """In Connect's words: what failed, of which error, with what message."""


@dataclass(frozen=True, slots=True)
class Aside:
    """The dead-letter topic of the connectors."""

    kept: int
    """Records on it; what is read again is put aside again, so one record may be there more than once."""
    ever: int
    """The same with those that retention has taken: it never falls."""
    newest: Sequence[PutAside]
    """The last of each partition, as many as were asked for."""


def aside(settings: Settings, most: int) -> Aside:
    """Count, and read the last ``most`` records of each partition. Raises DependencyDownError."""
    with closing(Log(settings, settings.kafka.group, glance=True)) as log:
        try:
            partitions = log.partitions(settings.topics.connect_dead_letters)
        except UsageError:  # Connect makes the topic with the first record that it puts there
            return Aside(0, 0, ())
        bounds = log.bounds(partitions)
        records = _last(log, bounds, most) if most else []
    kept, ever = sum(map(len, bounds.values())), sum(bound.stop for bound in bounds.values())
    return Aside(kept, ever, [put_aside(record) for record in records])


def _last(log: Log, bounds: Mapping[TopicPartition, range], most: int) -> Sequence[Record]:
    found: list[Record] = []
    try:
        for records in log.read({place: bound[-most:] for place, bound in bounds.items()}, whole):
            found += records
    except GoneError:  # retention takes what is there: the rest is still told
        pass
    return sorted(found, key=lambda one: (one.source, one.offset))


def put_aside(record: Record) -> PutAside:
    """What Connect's headers and the record's own bytes tell."""
    told = {name.removeprefix(HEADER): (value or b"").decode(errors="replace") for name, value in record.headers}
    error = told.get("exception.class.name", "").rpartition(".")[2]
    why, advice = _explained(record.value, told, error)
    origin = "/".join(told.get(part, "?") for part in ("topic", "partition", "offset"))
    said = ": ".join(filter(None, (told.get("stage"), error, told.get("exception.message"))))
    connector = told.get("connector.name", "?")
    advice = advice.format(connector.removesuffix(TRIAL))  # what a trial meets is its connector's to read again
    return PutAside(Place(record.source, record.offset), connector, origin, record.timestamp_ms, why, advice, said)


def _explained(value: bytes | None, told: Mapping[str, str], error: str) -> tuple[str, str]:
    """Why, and what to do. The record's bytes are asked first: they do not depend on a converter's words."""
    if told.get("stage") != _CONVERTER:
        return _not_ours(value, told, error)
    if not value:
        return "it is empty: not a byte", FOREIGN
    if not value.startswith(MAGIC) or len(value) < _ID.size:
        return "it is no Avro as ours is: a zero and the number of its schema do not come first", FOREIGN
    (number,) = _ID.unpack_from(value)
    if error == _UNANSWERED:
        again = "once the registry is back: `streamproc connect reread {}`"
        return f"the registry did not answer when it was asked for schema {number}", again
    if error == _UNKNOWN:
        return f"the registry has no schema {number}, which it names", f"register it, if it is ours; else {FOREIGN}"
    return f"its bytes are not those of schema {number}, which it names", FOREIGN


def _not_ours(value: bytes | None, told: Mapping[str, str], error: str) -> tuple[str, str]:
    """It could be read, and is no row."""
    message = told.get("exception.message", "")
    if value is None:
        return "it is a tombstone: it has no value", FOREIGN
    if missing := message.partition("Field does not exist: ")[2]:
        return f"it has no {missing.removeprefix('what streamproc says of a dead letter in its ')}", FOREIGN
    return f"Connect says {': '.join(filter(None, (error, message))) or 'nothing'}", "look at the record"
