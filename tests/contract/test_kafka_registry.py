import json
import time
import uuid

import pytest
from confluent_kafka.schema_registry import Schema

from streamproc.errors import DependencyDownError, PoisonError, UsageError
from streamproc.kafka.event_codec import RegistryEventCodec
from streamproc.kafka.own_schemas import look_up_events, look_up_outputs, register_schemas
from streamproc.kafka.registry import Registry, connect
from streamproc.records.avro import encode, frame, unframe
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent
from streamproc.records.topics import subject
from streamproc.settings import Settings, TopicSettings

pytestmark = pytest.mark.servers

EVENT = RecordingEvent("e", 1, "b", "k")


@pytest.fixture
def codec(client: Registry, topics: TopicSettings) -> RegistryEventCodec:
    return RegistryEventCodec(client, topics.recordings, time.monotonic)


def other_schema(**more: object) -> Schema:
    """A schema that no other test registers."""
    fields = [{"name": f"f{uuid.uuid4().hex}", "type": "int"} | more]
    return Schema(json.dumps({"type": "record", "name": "Other", "fields": fields}), "AVRO")


def test_registering_again_changes_nothing_and_events_go_round(
    client: Registry, topics: TopicSettings, codec: RegistryEventCodec
) -> None:
    ids = register_schemas(client, topics)
    assert register_schemas(client, topics) == ids
    workers = (topics.recordings, topics.results, topics.segments, topics.ledger)
    assert set(ids) == {subject(topic) for topic in (*workers, topics.trends, topics.alerts)}
    assert client.get_compatibility(subject(topics.recordings)) == "BACKWARD_TRANSITIVE"
    assert client.get_compatibility(subject(topics.results)) == "FULL_TRANSITIVE"

    value = frame(look_up_events(client, topics), encode(EVENT))
    codec.resolve(value)
    assert codec.decode(value) == EVENT


def test_rows_are_framed_with_the_registered_ids(client: Registry, topics: TopicSettings) -> None:
    ids = register_schemas(client, topics)
    entry = LedgerEntry("0", "t", 0, 1, 2, 1, 1, 0, "d", 5)
    framed = look_up_outputs(client, topics).encode(entry)
    assert unframe(framed) == (ids[subject(topics.ledger)], encode(entry))


def test_a_worker_without_registered_schemas_is_told_to_register(client: Registry, topics: TopicSettings) -> None:
    with pytest.raises(UsageError, match="EmotionResult is not registered"):
        look_up_outputs(client, topics)


def test_a_schema_that_breaks_old_readers_is_refused(client: Registry, topics: TopicSettings) -> None:
    name = subject(topics.results)
    client.register_schema(name, other_schema())
    with pytest.raises(UsageError, match="does not take our EmotionResult"):
        register_schemas(client, topics)


def test_a_registered_schema_beyond_the_caps_is_not_read(
    client: Registry, topics: TopicSettings, codec: RegistryEventCodec
) -> None:
    bomb = other_schema(type={"type": "array", "items": "null"})
    value = frame(client.register_schema(subject(topics.recordings), bomb), b"\x80\x89\x98\x13\x00")
    codec.resolve(value)
    with pytest.raises(PoisonError, match="avro_invalid"):
        codec.decode(value)


def test_an_address_that_is_no_registry_is_down_and_not_the_records_fault(
    patient: Settings, topics: TopicSettings
) -> None:
    wrong = patient.registry.model_copy(update={"url": patient.registry.url + "/nothing/here"})
    with connect(wrong) as client, pytest.raises(DependencyDownError):
        RegistryEventCodec(client, topics.recordings, time.monotonic).resolve(frame(1, b""))
