"""For platforms upstream: store a recording and announce it."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from streamproc.client.naming import content_type, event_id, object_key
from streamproc.errors import PoisonError, StoreError, UsageError
from streamproc.kafka.own_schemas import look_up_events
from streamproc.kafka.publisher import Publisher
from streamproc.kafka.registry import connect
from streamproc.records.avro import MAX_ROW_BYTES, encode, frame
from streamproc.records.record import OutputRecord
from streamproc.records.recording import Channels, RecordingEvent, check_object, event_from_avro
from streamproc.records.stored import Tags
from streamproc.settings import Settings
from streamproc.storage.causes import for_people
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import Clock, SystemClock

_CONNECTIONS = 4
_HEADER = re.compile(r"[!-~]+(?: [!-~]+)*")
"""What stays as it is on its way through HTTP, where the store gets the content type."""


class About(TypedDict, total=False):
    """What can be declared of a recording; fields of ``RecordingEvent``, times in ms since the epoch."""

    event_id: str
    recorded_at: int
    duration_ms: int
    content_type: str
    tenant: str
    call_id: str
    agent: str
    queue: str
    language: str
    channels: Channels
    outputs: frozenset[str]
    attributes: Mapping[str, str]


class RecordingClient:
    """Stores recordings and announces them. May be called from any thread.

    Announcements are queued: they have arrived when ``flush`` (or ``close``, or leaving the ``with`` block) returns. ::

        with RecordingClient(load_settings()) as client:
            client.publish(Path("call.wav"), call_id="c-17")
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Connect to nothing yet. Raises UsageError for settings that cannot lead anywhere."""
        self._settings = settings
        self._clock = clock or SystemClock()
        self._store = S3Store(settings.storage, _CONNECTIONS, self._clock)
        self._publisher = Publisher(settings, self._clock.monotonic)
        self._schema_id: int | None = None
        self._lock = Lock()

    def publish(
        self,
        recording: Path | bytes,
        *,
        name: str = "",
        key: str | None = None,
        timestamp_ms: int | None = None,
        **about: Unpack[About],
    ) -> RecordingEvent:
        """Store a recording under a key made of its content, announce it, and return the event.

        ``name`` is where the extension comes from (of a path by itself). ``recorded_at`` is now unless given; with it
        given, publishing the same again gives the same event id, which readers count once. ``key`` and
        ``timestamp_ms`` are as in ``announce``.

        Raises UsageError, StoreError, DependencyDownError.
        """
        body, name = self._read(recording, name)
        event = self._describe(body, name, about)
        self._payload(event)  # what no worker would accept is not stored either
        receipt = self._put(event, body)
        event = event._replace(etag=receipt.etag, version_id=receipt.version_id)
        self.announce(event, key, timestamp_ms)
        return event

    def announce(self, event: RecordingEvent, key: str | None = None, timestamp_ms: int | None = None) -> None:
        """Queue the announcement of an object that is stored already.

        ``key`` decides the partition, and with it what is kept in order: the event's ``call_id`` unless given.
        An event of no call has its own id for a key, so that its repeats meet, and its segments its result.
        ``timestamp_ms`` is the record's time, now unless given. Raises UsageError for an event that no worker would
        accept, DependencyDownError without a registry, DeliveryError when Kafka does not take it.
        """
        value = frame(self._schema(), self._payload(event))
        told = (key, event.call_id, event.event_id or None)
        partition_key = next((name for name in told if name is not None), None)
        record = OutputRecord(
            topic=self._settings.topics.recordings,
            key=None if partition_key is None else partition_key.encode(),
            value=value,
        )
        self._publisher.send(record, event.event_id, timestamp_ms)

    def flush(self) -> None:
        """Return when Kafka has every announcement. Raises DeliveryError, whose ``names`` are the lost event ids."""
        self._publisher.flush()

    def close(self) -> None:
        """Flush, and drop the connections. Raises DeliveryError."""
        try:
            self.flush()
        finally:
            self._publisher.close()
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, recording: Path | bytes, name: str) -> tuple[bytes, str]:
        most = self._settings.audio.max_object_bytes
        if isinstance(recording, bytes):
            body = recording
        else:
            name = name or recording.name
            body = _read_file(recording, most)
        if len(body) > most:
            raise UsageError(f"the recording is larger than audio.max_object_bytes={most} allows")
        if not body:
            raise UsageError("the recording has no bytes")
        return body, name

    def _describe(self, body: bytes, name: str, about: About) -> RecordingEvent:
        sha256 = hashlib.sha256(body).hexdigest()
        fields: dict[str, Any] = {
            "event_id": "",
            "recorded_at": self._clock.wall_ms(),
            "content_type": content_type(name),
            **about,
            "bucket": self._settings.storage.bucket,
            "object_key": object_key(sha256, name),
            "content_sha256": sha256,
            "size_bytes": len(body),
        }
        event = RecordingEvent(**fields)
        if event.content_type and not _HEADER.fullmatch(event.content_type):
            raise UsageError("content_type is not one line of ASCII text, as in audio/wav")
        return event if event.event_id else event._replace(event_id=event_id(event))

    def _put(self, event: RecordingEvent, body: bytes) -> Tags:
        try:
            return self._store.put(event.bucket, event.object_key, body, event.content_type or "")
        except StoreError as error:
            raise for_people(error) from error

    def _payload(self, event: RecordingEvent) -> bytes:
        """The event in Avro, which passes what the worker will ask of it. Raises UsageError."""
        try:
            checked = event_from_avro(event._asdict())
            check_object(checked, self._settings.storage.buckets)
            payload = encode(checked)
        except PoisonError as error:
            raise UsageError(f"no worker would accept event {event.event_id}: {error.message}") from None
        if len(payload) > MAX_ROW_BYTES:
            raise UsageError(f"event {event.event_id} has {len(payload)} bytes; a topic takes {MAX_ROW_BYTES}")
        return payload

    def _schema(self) -> int:
        with self._lock:
            if self._schema_id is None:
                with connect(self._settings.registry) as registry:
                    self._schema_id = look_up_events(registry, self._settings.topics)
            return self._schema_id


def _read_file(path: Path, most: int) -> bytes:
    """A file's bytes, and never more than one over ``most``: what is too large is not taken into memory."""
    try:
        if not path.is_file() and path.exists():
            raise UsageError(f"{path!s:.256} is no file")
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise UsageError(f"{path!s:.256} cannot be read: {error.strerror}") from None
