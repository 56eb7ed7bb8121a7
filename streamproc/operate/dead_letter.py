"""A dead letter as people and programs read it: where it began, why it ended, what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from streamproc.errors import Reason
from streamproc.operate.names import file_name
from streamproc.records.record import Record
from streamproc.records.recording import RecordingEvent

ADVICE: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.AVRO_INVALID: "fix the producer: the value is not an event of a registered schema",
        Reason.SCHEMA_UNKNOWN: "register the producer's schema under the topic's own subject, then send it again",
        Reason.EVENT_INVALID: "fix the field that the message names, then send the event again",
        Reason.HEADERS_TOO_LARGE: "send fewer or smaller headers, or raise flow.max_header_bytes",
        Reason.BUCKET_FORBIDDEN: "add the bucket to storage.allowed_buckets if it is yours",
        Reason.KEY_INVALID: "store the object under a key inside the grammar and announce that",
        Reason.OBJECT_MISSING: "store the object before it is announced, then send the event again",
        Reason.OBJECT_EMPTY: "store the recording again: the upload had no bytes",
        Reason.OBJECT_TOO_LARGE: "split the recording, or raise audio.max_object_bytes",
        Reason.HASH_MISMATCH: "announce the object as it is now: it was changed after its event",
        Reason.LENGTH_MISMATCH: "announce the size that is stored, or store the recording whole",
        Reason.ACCESS_DENIED: "grant the worker's credentials access to this object",
        Reason.STORE_UNAVAILABLE: "send it again once the object store answers",
        Reason.FORMAT_UNSUPPORTED: "store wav, flac, mp3, ogg, opus or m4a; the bytes count, not the name",
        Reason.DECODE_FAILED: "store the recording again: its bytes are damaged or torn off",
        Reason.AUDIO_TOO_LONG: "split the recording, or raise audio.max_seconds",
        Reason.AUDIO_LIMITS: "re-encode inside the limits of rate and channels that the message names",
        Reason.MODEL_FAILED: "report it with the recording: the network gave no scores",
        Reason.KILLED_WORKER: "keep the recording and report it: each process that had it alone ended",
        Reason.RETRIES_EXHAUSTED: "look at the last cause in the message, heal it, then send the event again",
    }
)
"""What whoever reads a dead letter can do about it."""


NO_LETTER = "has not the headers that a worker gives its dead letters"
"""What is wrong with a record on the dead-letter topic of which ``read_dead_letter`` makes nothing."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of the dead-letter topic, told by its headers."""

    topic: str
    """Where it began, with partition and offset."""
    partition: int
    offset: int
    reason: str
    stage: str
    message: str
    attempts: int
    first_seen_ms: int
    at_ms: int
    """When it was given up, in ms since the epoch."""
    key: str | None
    size: int | None
    """Bytes of the original value; None for a tombstone."""
    event_id: str | None
    """What the original event says; None where it cannot be read, as the object's key."""
    object_key: str | None
    file_name: str | None = None

    @property
    def advice(self) -> str:
        """What to do."""
        known = Reason(self.reason) if self.reason in set(Reason) else None
        return ADVICE[known] if known else "look the reason up in the version that wrote it"


def read_dead_letter(record: Record, event: RecordingEvent | None) -> DeadLetter | None:
    """Read the headers that the worker wrote; None for a record that no worker of ours gave up.

    ``event`` is the original, None where it cannot be read.
    """
    try:
        return DeadLetter(
            topic=_text(record, "sp-origin-topic"),
            partition=int(_text(record, "sp-origin-partition")),
            offset=int(_text(record, "sp-origin-offset")),
            reason=_text(record, "sp-reason"),
            stage=_text(record, "sp-stage"),
            message=_text(record, "sp-message"),
            attempts=int(_text(record, "sp-attempts")),
            first_seen_ms=int(_text(record, "sp-first-seen-ms")),
            at_ms=record.timestamp_ms,
            key=None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
            size=None if record.value is None else len(record.value),
            event_id=None if event is None else event.event_id,
            object_key=None if event is None else event.object_key,
            file_name=None if event is None else file_name(event.attributes),
        )
    except ValueError:
        return None


def _text(record: Record, name: str) -> str:
    value = record.header(name)
    if value is None:
        raise ValueError(f"header {name} is missing")
    return value.decode()
