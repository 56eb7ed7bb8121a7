import json
import time
import uuid

import psutil
import pytest
from confluent_kafka.schema_registry import Schema
from confluent_kafka.schema_registry.error import SchemaRegistryError

from streamproc.errors import DependencyDownError, DependencyRefusesError, PoisonError, UsageError
from streamproc.kafka.event_codec import RegistryEventCodec
from streamproc.kafka.own_schemas import look_up_events, look_up_outputs, register_schemas, registered_schemas
from streamproc.kafka.registry import Registry, connect
from streamproc.local.stack import status
from streamproc.records.avro import encode, frame, schema_of, unframe
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.records.topics import compatibility, row_types, subject
from streamproc.settings import Settings, TopicSettings
from tools.schemas import published

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


def test_every_published_version_is_taken_one_after_the_other_and_the_newest_is_ours(
    client: Registry, topics: TopicSettings
) -> None:
    for topic, row in row_types(topics).items():
        client.set_compatibility(subject(topic), compatibility(row))
        for text in published(row):
            client.register_schema(subject(topic), Schema(text, "AVRO"))
    before = {one.subject: one.schema_id for one in registered_schemas(client, topics)}
    assert register_schemas(client, topics) == before


def test_what_is_not_registered_is_told_without_registering_it(client: Registry, topics: TopicSettings) -> None:
    assert {one.schema_id for one in registered_schemas(client, topics)} == {None}
    ids = register_schemas(client, topics)
    found = registered_schemas(client, topics)
    assert {one.subject: one.schema_id for one in found} == ids
    assert {one.version for one in found} == {1}
    assert all(one.good for one in found)


def test_a_schema_of_somebody_else_under_our_subject_is_told_and_so_is_how_it_differs(
    client: Registry, topics: TopicSettings
) -> None:
    name = subject(topics.ledger)
    theirs = '{"type":"record","name":"Theirs","fields":[{"name":"x","type":"int"}]}'
    client.register_schema(name, Schema(theirs, "AVRO"))
    (there,) = (one for one in registered_schemas(client, topics) if one.latest)
    assert (there.subject, there.schema_id, there.latest) == (name, None, 1)
    with pytest.raises(
        UsageError, match=r"FULL_TRANSITIVE: committed_at at \S+; dead_letters at .*; x at /fields/0\. If"
    ):
        register_schemas(client, topics)
    client.delete_subject(name)
    register_schemas(client, topics)
    client.set_compatibility(name, "NONE")
    client.register_schema(name, Schema(theirs.replace("x", "y"), "AVRO"))
    ours = {one.subject: one for one in registered_schemas(client, topics)}[name]
    assert (ours.latest or 0) > (ours.version or 0) > 0


def test_a_subject_that_is_held_to_another_rule_is_told(client: Registry, topics: TopicSettings) -> None:
    register_schemas(client, topics)
    name = subject(topics.results)
    client.set_compatibility(name, "NONE")
    assert [one.subject for one in registered_schemas(client, topics) if not one.good] == [name]
    assert {one.rule for one in registered_schemas(client, topics) if not one.good} == {"NONE"}
    register_schemas(client, topics)
    assert all(one.good for one in registered_schemas(client, topics))


@pytest.mark.parametrize(
    "change",
    [
        ('{"name": "result_id", "type": "string"', '{"name": "result_id", "type": "int"'),
        ('"name": "label", "type": ["null", "string"]', '"name": "label", "type": ["null", "long"]'),
        ('{"name": "fingerprint"', '{"name": "weights", "type": "string", "doc": "d"}, {"name": "fingerprint"'),
    ],
)
def test_a_version_that_older_readers_cannot_read_is_refused(
    client: Registry, topics: TopicSettings, change: tuple[str, str]
) -> None:
    register_schemas(client, topics)
    text = schema_of(EmotionResult).text
    assert change[0] in text
    with pytest.raises(SchemaRegistryError, match="409"):
        client.register_schema(subject(topics.results), Schema(text.replace(*change), "AVRO"))


def test_a_registry_that_hangs_is_down_after_its_timeout_and_goes_on_when_it_is_back(
    patient: Settings, topics: TopicSettings
) -> None:
    with connect(patient.registry) as client:
        register_schemas(client, topics)
    (pid,) = (server.pid for server in status(patient) if server.name == "registry")
    assert pid is not None
    process = psutil.Process(pid)
    hurried = patient.registry.model_copy(update={"timeout_s": 0.3})
    with connect(hurried) as impatient:
        process.suspend()
        try:
            with pytest.raises(DependencyDownError):
                look_up_outputs(impatient, topics)
        finally:
            process.resume()
    with connect(patient.registry) as client:
        assert look_up_outputs(client, topics).result_schema_id > 0


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
    with connect(wrong) as client, pytest.raises(DependencyRefusesError, match="404"):
        RegistryEventCodec(client, topics.recordings, time.monotonic).resolve(frame(1, b""))
