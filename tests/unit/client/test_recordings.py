"""The client against a store and a registry that answer by script, and librdkafka's own broker for tests."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from pydantic import SecretStr

from streamproc.client import RecordingClient
from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.publisher import DeliveryError
from streamproc.records.avro import decode, parse_writer, schema_of, unframe
from streamproc.records.recording import RecordingEvent, event_from_avro
from streamproc.settings import AudioSettings, KafkaSettings, RegistrySettings, Settings, StorageSettings, TopicSettings
from streamproc.testing.clock import ManualClock
from tests.unit.storage.lying import Answer, LyingServer, Peer, Request

SCHEMA = schema_of(RecordingEvent)
SCHEMA_ID = 7
BODY = b"RIFF and so on"
SHA = hashlib.sha256(BODY).hexdigest()


def registered(peer: Peer, request: Request) -> bool:
    """Answer as a registry that has the schema, byte for byte."""
    assert json.loads(request.body)["schema"] == SCHEMA.text
    answer = {"subject": "audio.recordings-value", "id": SCHEMA_ID, "version": 1, "schema": SCHEMA.text}
    return peer.respond("200 OK", json.dumps(answer).encode(), Content_Type="application/json")


def stored(peer: Peer, _request: Request) -> bool:
    return peer.respond("200 OK", ETag='"e"', x_amz_version_id="v1")


@dataclass
class World:
    store: LyingServer
    registry: LyingServer
    broker: str
    settings: Settings

    def records(self, count: int) -> "list[Message[bytes, bytes]]":
        """The first records of the topic, and the proof that there are no more."""
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "test"})
        topic = self.settings.topics.recordings
        try:
            partitions = consumer.list_topics(topic, timeout=5).topics[topic].partitions
            consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
            found = consumer.consume(count, timeout=5)
            assert consumer.poll(0.2) is None
        finally:
            consumer.close()
        assert len(found) == count
        return found


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    owner = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (only,) = owner.list_topics(timeout=5).brokers.values()
    yield f"{only.host}:{only.port}"
    owner.flush(1)


@pytest.fixture
def world(broker: str, request: pytest.FixtureRequest) -> Iterator[World]:
    store, registry = LyingServer(answer=stored), LyingServer(answer=registered)
    topic = f"audio.{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=broker, transaction_timeout_s=5),
        registry=RegistrySettings(url=registry.endpoint, timeout_s=1),
        storage=StorageSettings(endpoint=store.endpoint, access_key=SecretStr("k"), secret_key=SecretStr("s")),
        audio=AudioSettings(max_object_bytes=1000),
        topics=TopicSettings(recordings=topic),
    )
    yield World(store, registry, broker, settings)
    store.close()
    registry.close()


def decoded(record: "Message[bytes, bytes]") -> RecordingEvent:
    value = record.value()
    assert value is not None
    schema_id, payload = unframe(value)
    assert schema_id == SCHEMA_ID
    return event_from_avro(decode(payload, parse_writer(SCHEMA.text, SCHEMA), SCHEMA))


def test_a_recording_is_stored_and_announced(world: World) -> None:
    clock = ManualClock(wall_ms=1_700_000_000_000)
    with RecordingClient(world.settings, clock) as client:
        event = client.publish(BODY, name="call.wav", call_id="c-1", channels="split", attributes={"team": "ü"})
    (put,) = world.store.requests
    assert (put.method, put.target, put.body) == ("PUT", f"/recordings/sha256/{SHA}.wav", BODY)
    (record,) = world.records(1)
    assert record.key() == b"c-1"
    assert decoded(record) == event
    assert event == RecordingEvent(
        event_id=event.event_id,
        recorded_at=1_700_000_000_000,
        bucket="recordings",
        object_key=f"sha256/{SHA}.wav",
        version_id="v1",
        etag="e",
        content_sha256=SHA,
        size_bytes=len(BODY),
        content_type=event.content_type,
        call_id="c-1",
        channels="split",
        attributes={"team": "ü"},
    )
    assert event.event_id


def test_a_file_gives_its_name(world: World, tmp_path: Path) -> None:
    path = tmp_path / "Anruf 1.FLAC"
    path.write_bytes(BODY)
    with RecordingClient(world.settings) as client:
        event = client.publish(path)
    assert event.object_key == f"sha256/{SHA}.flac"
    (record,) = world.records(1)
    assert record.key() == event.event_id.encode()


def test_the_same_publish_again_has_the_same_event_id(world: World) -> None:
    with RecordingClient(world.settings) as client:
        first = client.publish(BODY, recorded_at=5, call_id="c")
        again = client.publish(BODY, recorded_at=5, call_id="c")
        later = client.publish(BODY, recorded_at=6, call_id="c")
    assert first.event_id == again.event_id != later.event_id
    world.records(3)


def test_repeats_of_a_recording_without_a_call_meet_in_one_partition(world: World) -> None:
    """Readers count an event once that comes twice where both are read by one of them."""
    with RecordingClient(world.settings) as client:
        events = [client.publish(BODY, recorded_at=number % 4) for number in range(8)]
    records = world.records(8)
    assert {record.key() for record in records} == {event.event_id.encode() for event in events}
    assert len({(record.key(), record.partition()) for record in records}) == 4


def test_the_schema_id_is_asked_for_once(world: World) -> None:
    with RecordingClient(world.settings) as client:
        for i in range(10):
            client.publish(BODY, recorded_at=i)
    assert len(world.registry.requests) == 1
    world.records(10)


def test_one_key_keeps_its_order(world: World) -> None:
    with RecordingClient(world.settings) as client:
        for i in range(200):
            client.announce(RecordingEvent(str(i), i, "recordings", "a.wav", call_id="c"), key="speaker-1")
    records = world.records(200)
    assert [decoded(record).event_id for record in records] == [str(i) for i in range(200)]
    assert {record.key() for record in records} == {b"speaker-1"}


def test_an_announcement_can_carry_an_earlier_time(world: World) -> None:
    with RecordingClient(world.settings) as client:
        client.announce(RecordingEvent("e", 1, "recordings", "a.wav"), timestamp_ms=1_600_000_000_000)
    (record,) = world.records(1)
    assert record.timestamp()[1] == 1_600_000_000_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket": "elsewhere"},
        {"object_key": "a/../b"},
        {"object_key": "a\r\nb"},
        {"channels": "left"},
        {"outputs": frozenset({"poem"})},
        {"content_sha256": "ABC"},
        {"attributes": {"a": 1}},
        {"attributes": {"a": "x" * 1_100_000}},
    ],
)
def test_what_no_worker_would_accept_is_not_announced(world: World, wrong: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"event_id": "e", "recorded_at": 1, "bucket": "recordings", "object_key": "a"}
    with RecordingClient(world.settings) as client, pytest.raises(UsageError, match="event e"):
        client.announce(RecordingEvent(**(fields | wrong)))


def test_a_recording_over_the_limit_or_empty_or_gone_is_not_stored(world: World, tmp_path: Path) -> None:
    large, empty = tmp_path / "large.wav", tmp_path / "empty.wav"
    large.write_bytes(bytes(1001))
    empty.write_bytes(b"")
    refusals: list[tuple[Path | bytes, str]] = [
        (large, "max_object_bytes=1000"),
        (bytes(1001), "max_object_bytes=1000"),
        (empty, "no bytes"),
        (b"", "no bytes"),
        (tmp_path / "gone.wav", "cannot be read: No such file"),
        (tmp_path, "no file"),
    ]
    with RecordingClient(world.settings) as client:
        for recording, why in refusals:
            with pytest.raises(UsageError, match=why):
                client.publish(recording)
    assert world.store.requests == []


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"content_type": "audio/wav\r\nx-amz-acl: public-read"}, "content_type"),
        ({"content_type": "audio/wav\n"}, "content_type"),
        ({"content_type": "音/wav"}, "content_type"),
        ({"content_type": "audio/wav; name=ü"}, "content_type"),
        ({"channels": "left"}, "channels"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"call_id": "\udcff"}, "no worker"),
        ({"attributes": {"a": "x" * 1_100_000}}, "bytes"),
    ],
)
def test_what_no_worker_would_accept_is_not_stored(world: World, about: dict[str, Any], why: str) -> None:
    with RecordingClient(world.settings) as client, pytest.raises(UsageError, match=why):
        client.publish(BODY, **about)
    assert world.store.requests == []


def test_a_content_type_reaches_the_store_as_it_is(world: World) -> None:
    with RecordingClient(world.settings) as client:
        client.publish(BODY, content_type="audio/l16; rate=8000;channels=2")
    (put,) = world.store.requests
    assert put.headers["content-type"] == "audio/l16; rate=8000;channels=2"
    world.records(1)


def answering(status: str) -> Answer:
    return lambda peer, _: peer.respond(status)


@pytest.mark.parametrize(
    ("status", "error"), [("503 Service Unavailable", DependencyDownError), ("403 Forbidden", UsageError)]
)
def test_what_is_not_stored_is_not_announced(world: World, status: str, error: type[Exception]) -> None:
    world.store.answer = answering(status)
    with RecordingClient(world.settings) as client, pytest.raises(error):
        client.publish(BODY)
    assert world.registry.requests == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("403 Forbidden", "SignatureDoesNotMatch"),
        ("403 Forbidden", "InvalidAccessKeyId"),
        ("404 Not Found", "NoSuchBucket"),
        ("400 Bad Request", "InvalidBucketName"),
    ],
)
def test_a_wrong_bucket_or_secret_is_one_line_with_what_to_do(world: World, status: str, code: str) -> None:
    world.store.answer = lambda peer, _: peer.respond(status, f"<Error><Code>{code}</Code></Error>".encode())
    with RecordingClient(world.settings) as client, pytest.raises(UsageError, match=code) as caught:
        client.publish(BODY)
    assert "check storage.bucket, storage.access_key and storage.secret_key" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert world.registry.requests == []


def test_a_schema_that_is_not_registered_is_the_users_to_mend(world: World) -> None:
    missing = b'{"error_code": 40401, "message": "Subject not found"}'
    world.registry.answer = lambda peer, _: peer.respond("404 Not Found", missing, Content_Type="application/json")
    with RecordingClient(world.settings) as client, pytest.raises(UsageError, match="not registered"):
        client.publish(BODY)


def test_a_registry_that_is_away_says_so_and_is_asked_again_next_time(world: World) -> None:
    world.registry.answer = None
    with RecordingClient(world.settings) as client:
        with pytest.raises(DependencyDownError, match="registry"):
            client.publish(BODY)
        world.registry.answer = registered
        client.publish(BODY)
    world.records(1)


def test_a_broker_that_is_away_names_the_events_that_were_lost(world: World) -> None:
    kafka = world.settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "transaction_timeout_s": 1.0})
    client = RecordingClient(world.settings.model_copy(update={"kafka": kafka}))
    client.announce(RecordingEvent("first", 1, "recordings", "a.wav"))
    client.announce(RecordingEvent("second", 1, "recordings", "a.wav"))
    with pytest.raises(DeliveryError) as caught:
        client.close()
    assert caught.value.names == ("first", "second")
    client.flush()  # said once
