"""The recordings and events of a run: a few contents, announced over and over."""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from streamproc.bench.waves import make_waves, seconds_of, to_wav
from streamproc.kafka.own_schemas import look_up_events
from streamproc.kafka.publisher import Publisher
from streamproc.kafka.registry import connect
from streamproc.kafka.tail import Tail
from streamproc.records.avro import encode, frame
from streamproc.records.record import OutputRecord, TopicPartition
from streamproc.records.recording import RecordingEvent
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock

CLIPS = 4
SEED = 11
SHORTEST_S, LONGEST_S = 0.6, 1.5
"""So short that 512 of them stay under the seconds of audio that one micro-batch may hold."""
FOLDER = "bench"


@dataclass(frozen=True, slots=True)
class Stored:
    """A recording in the bucket, as its events declare it."""

    key: str
    sha256: str
    size_bytes: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of one partition of the input topic; ``end`` is behind the last offset."""

    partition: int
    start: int
    end: int


def store_clips(settings: Settings) -> Sequence[Stored]:
    """Put the recordings into the bucket. Raises StoreError."""
    clips = []
    with closing(S3Store(settings.storage, 1, SystemClock())) as store:
        for samples in make_waves(CLIPS, SEED, SHORTEST_S, LONGEST_S):
            body = to_wav(samples)
            sha256 = hashlib.sha256(body).hexdigest()
            key = f"{FOLDER}/{sha256}.wav"
            store.put(settings.storage.bucket, key, body, "audio/wav")
            clips.append(Stored(key, sha256, len(body), round(1000 * seconds_of([samples]))))
    return clips


def heard_again(settings: Settings, count: int) -> Sequence[Stored]:
    """These recordings in turn, so many in all. Raises StoreError."""
    clips = store_clips(settings)
    return [clips[number % len(clips)] for number in range(count)]


def announce(settings: Settings, clips: Sequence[Stored], run: str) -> Sequence[OutputRecord]:
    """Encoded announcements, ready to send: what a producer takes for encoding is not the worker's time.

    The key of each is its event's id, and no other's.
    """
    with connect(settings.registry) as registry:
        schema_id = look_up_events(registry, settings.topics)
    now_ms = SystemClock().wall_ms()
    records = []
    for number, clip in enumerate(clips):
        name = f"{run}-{number}"
        event = RecordingEvent(
            event_id=name,
            recorded_at=now_ms,
            bucket=settings.storage.bucket,
            object_key=clip.key,
            content_sha256=clip.sha256,
            size_bytes=clip.size_bytes,
            duration_ms=clip.duration_ms,
            tenant=run,
            call_id=name,
        )
        records.append(OutputRecord(settings.topics.recordings, name.encode(), frame(schema_id, encode(event))))
    return records


def send(settings: Settings, records: Sequence[OutputRecord]) -> Sequence[Part]:
    """Send all as fast as Kafka takes them; where they came to lie, if nobody else writes there."""
    topic = settings.topics.recordings
    with closing(Tail(settings, [topic], None)) as tail:
        starts = tail.ends()
        with closing(Publisher(settings)) as publisher:
            for number, record in enumerate(records):
                publisher.send(record, str(number))
            publisher.flush()
        ends = tail.ends()
    return [_part(place, starts[place], end) for place, end in sorted(ends.items()) if end > starts[place]]


def _part(place: TopicPartition, start: int, end: int) -> Part:
    return Part(place.partition, start, end)
