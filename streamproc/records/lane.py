"""What travels with a record that comes again later: its origin, its attempts, its first sight."""

from typing import NamedTuple

from streamproc.errors import PoisonError, Reason, RecordError, Stage
from streamproc.records.record import Headers, Record

VERSION = b"1"
MAX_MESSAGE_BYTES = 1024
OURS = 10
"""How many headers ``failure_headers`` writes."""


class Attempt(NamedTuple):
    """Where a record began and how often it was tried before now."""

    topic: str
    partition: int
    offset: int
    attempts: int
    first_seen_ms: int
    reason: str = ""
    """Why its last try failed; empty before the first."""


def read_attempt(record: Record, lanes: tuple[str, ...]) -> Attempt:
    """Read the ``sp-*`` headers of a record from a lane; any other record is at its origin.

    Headers are believed only on a lane: a producer upstream cannot claim attempts. Raises PoisonError(event_invalid)
    for a lane record whose headers are not ours.
    """
    if record.topic not in lanes:
        return Attempt(record.topic, record.partition, record.offset, 0, record.timestamp_ms)
    try:
        return Attempt(
            topic=(record.header("sp-origin-topic") or b"").decode(),
            partition=_number(record, "sp-origin-partition"),
            offset=_number(record, "sp-origin-offset"),
            attempts=_number(record, "sp-attempts"),
            first_seen_ms=_number(record, "sp-first-seen-ms"),
            reason=(record.header("sp-reason") or b"").decode(),
        )
    except ValueError as error:
        raise PoisonError(
            Reason.EVENT_INVALID, Stage.ADMIT, f"a record on a lane without our headers: {error}"
        ) from None


def _number(record: Record, name: str) -> int:
    value = record.header(name)
    if value is None or not value.isdigit():
        raise ValueError(f"header {name} is {value!r}, not ASCII decimals")
    return int(value)


def failure_headers(attempt: Attempt, error: RecordError) -> Headers:
    """Ours, for a record on its way to a lane or to the dead letters; ``attempt`` counts the try that just failed."""
    plain = error.message.replace("\0", "")  # as in rows: it becomes text of a database, which refuses U+0000
    message = plain.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore").encode()
    return (
        ("sp-origin-topic", attempt.topic.encode()),
        ("sp-origin-partition", b"%d" % attempt.partition),
        ("sp-origin-offset", b"%d" % attempt.offset),
        ("sp-attempts", b"%d" % attempt.attempts),
        ("sp-first-seen-ms", b"%d" % attempt.first_seen_ms),
        ("sp-stage", error.stage.encode()),
        ("sp-class", type(error).__name__.removesuffix("Error").lower().encode()),
        ("sp-reason", error.reason.encode()),
        ("sp-message", message),
        ("sp-version", VERSION),
    )


def original_headers(record: Record, lanes: tuple[str, ...]) -> Headers:
    """A record's own headers, byte for byte: on a lane ours are the last ones, anywhere else there are none of ours."""
    return record.headers[:-OURS] if record.topic in lanes else record.headers
