"""The client against real servers, seen by a reader that knows nothing of our code."""

import io
import json
import uuid
from pathlib import Path

import fastavro
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from minio import Minio
from pydantic import SecretStr

from streamproc.client import RecordingClient
from streamproc.errors import UsageError
from streamproc.settings import Settings
from streamproc.wiring import prepare


@pytest.fixture
def ready(patient: Settings) -> Settings:
    """Settings with topics of this test's own."""
    names = ("recordings", "results", "segments", "ledger")
    own = {name: f"{name}.{uuid.uuid4().hex}" for name in names}
    topics = patient.topics.model_copy(update={"partitions": 3, **own})
    settings = patient.model_copy(update={"topics": topics})
    prepare(settings)
    return settings


def test_what_is_published_is_read_by_anybody(ready: Settings, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(bytes(range(256)) * 100)
    with RecordingClient(ready) as client:
        published = [
            client.publish(path, call_id=f"call-{i % 5}", recorded_at=1_700_000_000_000 + i) for i in range(50)
        ]

    consumer = Consumer({"bootstrap.servers": ready.kafka.bootstrap_servers, "group.id": uuid.uuid4().hex})
    consumer.assign([TopicPartition(ready.topics.recordings, p, 0) for p in range(3)])
    messages = consumer.consume(50, timeout=90)
    consumer.close()
    assert len(messages) == 50
    with SchemaRegistryClient({"url": ready.registry.url}) as registry:
        events = []
        for message in messages:
            value = message.value()
            assert value is not None
            assert value[0] == 0
            text = registry.get_schema(int.from_bytes(value[1:5])).schema_str
            assert text is not None
            event = fastavro.schemaless_reader(io.BytesIO(value[5:]), json.loads(text), None)
            assert isinstance(event, dict)
            assert message.key() == event["call_id"].encode()
            events.append(event)
    assert {event["event_id"] for event in events} == {event.event_id for event in published}
    for call in range(5):
        times = [event["recorded_at"] for event in events if event["call_id"] == f"call-{call}"]
        assert times == sorted(times)

    storage = ready.storage
    store = Minio(
        endpoint=storage.endpoint.removeprefix("http://"),
        access_key=storage.access_key.get_secret_value(),
        secret_key=storage.secret_key.get_secret_value(),
        secure=False,
    )
    response = store.get_object(bucket_name=events[0]["bucket"], object_name=events[0]["object_key"])
    try:
        assert response.read() == path.read_bytes()
    finally:
        response.close()
        response.release_conn()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"bucket": "never-made"}, "NoSuchBucket"), ({"secret_key": SecretStr("wrong-secret")}, "SignatureDoesNotMatch")],
)
def test_a_wrong_bucket_or_secret_is_told_as_wrong_settings(
    ready: Settings, wrong: dict[str, object], code: str
) -> None:
    settings = ready.model_copy(update={"storage": ready.storage.model_copy(update=wrong)})
    with RecordingClient(settings) as client, pytest.raises(UsageError, match=rf"{code}.*check storage\.bucket"):
        client.publish(b"RIFF", name="call.wav")
