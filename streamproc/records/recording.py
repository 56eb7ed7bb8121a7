"""RecordingEvent: the record that announces one recording."""

import re
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from streamproc.errors import PoisonError, Reason, Stage

Channels = Literal["mix", "split"]
CHANNELS: tuple[Channels, ...] = ("mix", "split")
OUTPUTS = frozenset({"scores", "segments", "timeline", "embedding"})
"""What an event can ask for. Not every analyzer has embeddings: where there are none, who asks is refused."""

KEY_GRAMMAR = re.compile(r"[A-Za-z0-9._=+-]+(?:/[A-Za-z0-9._=+-]+)*")
MAX_KEY = 512
MOST_TAG = 1024
"""Characters of a version or an ETag: S3's versions have at most so many, its ETags far fewer."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""What a reader's own timestamps can hold: one row outside would stop it."""
EVENT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "streamproc:recording-event")


class RecordingEvent(NamedTuple):
    """One announced recording, as its producer declared it. Times in ms since the epoch, sizes in bytes."""

    event_id: str
    recorded_at: int
    bucket: str
    object_key: str
    version_id: str | None = None
    etag: str | None = None
    content_sha256: str | None = None
    size_bytes: int | None = None
    duration_ms: int | None = None
    content_type: str | None = None
    tenant: str | None = None
    call_id: str | None = None
    agent: str | None = None
    queue: str | None = None
    language: str | None = None
    channels: Channels = "mix"
    outputs: frozenset[str] = frozenset({"scores"})
    attributes: Mapping[str, str] = MappingProxyType({})

    @property
    def wants_embedding(self) -> bool:
        """Whether scores alone are not enough."""
        return "embedding" in self.outputs

    def plain(self) -> dict[str, Any]:
        """Its fields by name, as JSON takes them."""
        return {**self._asdict(), "outputs": sorted(self.outputs), "attributes": dict(self.attributes)}


def _invalid(message: str) -> PoisonError:
    return PoisonError(Reason.EVENT_INVALID, Stage.ADMIT, message)


def event_from_avro(fields: Mapping[str, Any]) -> RecordingEvent:
    """Build an event from decoded Avro fields.

    Raises PoisonError(event_invalid) for a value that no later step could use. Bucket and key are judged by
    ``check_object``, since what is allowed there is the deployment's choice.
    """
    told = fields.get
    channels = told("channels") or "mix"
    if channels not in CHANNELS:
        raise _invalid(f"channels is {channels!r}; it can be 'mix' or 'split'")
    outputs = frozenset(told("outputs") or ("scores",))
    if unknown := outputs - OUTPUTS:
        raise _invalid(f"outputs names {sorted(unknown)}; this version offers {sorted(OUTPUTS)}")
    sha256 = told("content_sha256")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise _invalid("content_sha256 is not 64 lower-case hexadecimal digits")
    for name in ("version_id", "etag"):
        if (tag := told(name)) is not None and len(tag) > MOST_TAG:
            raise _invalid(f"{name} has {len(tag)} characters; stores give at most {MOST_TAG}")
    size, duration_ms, recorded_at = told("size_bytes"), told("duration_ms"), fields["recorded_at"]
    for name, value in (("size_bytes", size), ("duration_ms", duration_ms)):
        if value is not None and value < 0:
            raise _invalid(f"{name} is {value}; it cannot be negative")
    if not _FIRST_MS <= recorded_at <= _LAST_MS:
        raise _invalid(f"recorded_at is {recorded_at}; readers take ms since the epoch in years 1 to 9999")
    return RecordingEvent(  # by place: it is made for each event, and by name it takes twice as long
        told("event_id") or default_event_id(fields),
        recorded_at,
        fields["bucket"],
        fields["object_key"],
        told("version_id"),
        told("etag"),
        sha256,
        size,
        duration_ms,
        told("content_type"),
        told("tenant"),
        told("call_id"),
        told("agent"),
        told("queue"),
        told("language"),
        channels,
        outputs,
        dict(told("attributes") or {}),
    )


def default_event_id(fields: Mapping[str, Any]) -> str:
    """The identity of an event whose producer gave none: UUIDv5 of bucket, key and version."""
    name = "\n".join((fields["bucket"], fields["object_key"], fields.get("version_id") or ""))
    return str(uuid.uuid5(EVENT_NAMESPACE, name))


def check_object(event: RecordingEvent, buckets: frozenset[str]) -> None:
    """Raise PoisonError unless the event names an object that we may ask for.

    Nothing that an event says reaches the store before it passed here.
    """
    if event.bucket not in buckets:
        raise PoisonError(
            Reason.BUCKET_FORBIDDEN, Stage.ADMIT, f"bucket {event.bucket[:64]!r} is not in storage.allowed_buckets"
        )
    key = event.object_key
    if len(key) > MAX_KEY or not KEY_GRAMMAR.fullmatch(key) or not {".", ".."}.isdisjoint(key.split("/")):
        raise PoisonError(
            Reason.KEY_INVALID,
            Stage.ADMIT,
            f"object key {key[:64]!r} is not 1 to {MAX_KEY} of [A-Za-z0-9._/=+-] without empty, '.' or '..' parts",
        )
