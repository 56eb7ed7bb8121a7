"""What the client hands over, as our own values."""

from operator import methodcaller

from confluent_kafka import Message

from streamproc.errors import FatalError
from streamproc.records.record import Headers, Record, TopicPartition
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_headers_of = methodcaller("headers")
"""Not ``message.headers()``: for names that are not UTF-8 the client may return with an exception set. Python then
raises SystemError, but not from a call site that it has specialised: there the exception turns up some lines later."""
UNREADABLE_HEADERS = "unreadable-headers"
"""Stands for the headers of a record whose names are not UTF-8: the client cannot hand them over."""


def to_record(message: "Message[bytes, bytes]", origin: TopicPartition) -> Record:
    """A message as plain values."""
    offset = message.offset()
    if offset is None:
        raise FatalError(f"a record of {origin} came without an offset")
    return Record(
        topic=origin.topic,
        partition=origin.partition,
        offset=offset,
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=_headers(message, origin, offset),
    )


def whole(message: "Message[bytes, bytes]") -> Record:
    """A message as plain values, by itself."""
    return to_record(message, origin_of(message))


def offset_of(message: "Message[bytes, bytes]") -> tuple[int, int]:
    """Only where a record stands: its partition and offset."""
    return message.partition() or 0, message.offset() or 0


def stamped(message: "Message[bytes, bytes]") -> tuple[TopicPartition, int, int]:
    """Where a record stands, and its time in ms since the epoch."""
    return origin_of(message), message.offset() or 0, message.timestamp()[1]


def dated(message: "Message[bytes, bytes]") -> tuple[str, int, int, int, bytes | None]:
    """Topic, partition, offset, time in ms since the epoch, and value."""
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    return topic, partition, offset, message.timestamp()[1], message.value()


def bare(message: "Message[bytes, bytes]") -> tuple[int, int, bytes | None]:
    """Partition, offset and value: a fifth of the time of a whole record, whose headers are taken apart."""
    return message.partition() or 0, message.offset() or 0, message.value()


def keyed(message: "Message[bytes, bytes]") -> tuple[int, bytes | None, bytes | None]:
    """Offset, key and value of a record of a partition that is known."""
    return message.offset() or 0, message.key(), message.value()


def _headers(message: "Message[bytes, bytes]", origin: TopicPartition, offset: int) -> Headers:
    try:
        headers = _headers_of(message)
    except (UnicodeDecodeError, SystemError) as error:  # the client raises one or the other, by the headers after it
        _log.warning(
            "header names not utf-8", topic=origin.topic, partition=origin.partition, offset=offset, detail=str(error)
        )
        return ((UNREADABLE_HEADERS, str(error).encode()),)
    if headers is None:
        return ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)


def origin_of(message: "Message[bytes, bytes]") -> TopicPartition:
    """Where a message came from; an error of no partition in particular has a place that nobody owns."""
    topic, partition = message.topic(), message.partition()
    return TopicPartition(topic or "", -1 if partition is None else partition)
