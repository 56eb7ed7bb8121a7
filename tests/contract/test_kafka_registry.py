import json
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from streamproc.errors import DependencyDownError, PoisonError, Reason, UsageError
from streamproc.kafka.event_codec import REFUSED_FOR_S, RegistryEventCodec
from streamproc.kafka.own_schemas import look_up_events, look_up_outputs, register_schemas
from streamproc.kafka.registry import connect
from streamproc.records.avro import encode, frame, schema_of, unframe
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent
from streamproc.records.topics import subject
from streamproc.settings import RegistrySettings, Settings, TopicSettings

pytestmark = pytest.mark.servers

EVENT = RecordingEvent("e", 1, "b", "k")
NOWHERE = RegistrySettings(url="http://127.0.0.1:1", timeout_s=0.5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def topics() -> TopicSettings:
    name = f"t-{uuid.uuid4().hex[:12]}"
    return TopicSettings(recordings=name, results=f"{name}.r", segments=f"{name}.s", ledger=f"{name}.l")


@pytest.fixture
def client(patient: Settings) -> Iterator[SchemaRegistryClient]:
    with connect(patient.registry) as client:
        yield client


@pytest.fixture
def nowhere() -> Iterator[SchemaRegistryClient]:
    with connect(NOWHERE) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def codec(client: SchemaRegistryClient, topics: TopicSettings, clock: Clock) -> RegistryEventCodec:
    return RegistryEventCodec(client, topics.recordings, clock)


def poison(codec: RegistryEventCodec, value: bytes) -> PoisonError:
    with pytest.raises(PoisonError) as caught:
        codec.decode(value)
    return caught.value


def other_schema(**more: object) -> Schema:
    """A schema that no other test registers."""
    fields = [{"name": f"f{uuid.uuid4().hex}", "type": "int"} | more]
    return Schema(json.dumps({"type": "record", "name": "Other", "fields": fields}), "AVRO")


def test_registering_again_changes_nothing_and_events_go_round(
    client: SchemaRegistryClient, topics: TopicSettings, codec: RegistryEventCodec
) -> None:
    ids = register_schemas(client, topics)
    assert register_schemas(client, topics) == ids
    assert set(ids) == {subject(t) for t in (topics.recordings, topics.results, topics.segments, topics.ledger)}
    assert client.get_compatibility(subject(topics.recordings)) == "BACKWARD_TRANSITIVE"
    assert client.get_compatibility(subject(topics.results)) == "FULL_TRANSITIVE"

    value = frame(look_up_events(client, topics), encode(EVENT))
    assert not codec.known(value)
    with pytest.raises(LookupError):
        codec.decode(value)
    codec.resolve(value)
    assert codec.known(value)
    assert codec.decode(value) == EVENT


def test_rows_are_framed_with_the_registered_ids(client: SchemaRegistryClient, topics: TopicSettings) -> None:
    ids = register_schemas(client, topics)
    entry = LedgerEntry("0", "t", 0, 1, 2, 1, 1, 0, "d", 5)
    framed = look_up_outputs(client, topics).encode(entry)
    assert unframe(framed) == (ids[subject(topics.ledger)], encode(entry))


def test_a_worker_without_registered_schemas_is_told_to_register(
    client: SchemaRegistryClient, topics: TopicSettings
) -> None:
    with pytest.raises(UsageError, match="EmotionResult is not registered"):
        look_up_outputs(client, topics)


def test_a_schema_that_breaks_old_readers_is_refused(client: SchemaRegistryClient, topics: TopicSettings) -> None:
    name = subject(topics.results)
    client.register_schema(name, other_schema())
    with pytest.raises(UsageError, match="does not take our EmotionResult"):
        register_schemas(client, topics)


def test_an_unknown_id_is_poison_until_it_is_asked_for_again(codec: RegistryEventCodec, clock: Clock) -> None:
    value = frame(2**31 - 1, encode(EVENT))
    codec.resolve(value)
    assert codec.known(value)
    assert poison(codec, value).reason is Reason.SCHEMA_UNKNOWN
    clock.now += REFUSED_FOR_S
    assert not codec.known(value)
    assert poison(codec, value).reason is Reason.SCHEMA_UNKNOWN


def test_an_id_registered_a_moment_later_is_accepted(
    client: SchemaRegistryClient, topics: TopicSettings, codec: RegistryEventCodec, clock: Clock
) -> None:
    elsewhere = Schema(schema_of(RecordingEvent).text.replace("Announces", f"Announces {uuid.uuid4()}"), "AVRO")
    schema_id = client.register_schema(f"{uuid.uuid4()}-value", elsewhere)
    value = frame(schema_id, encode(EVENT))
    codec.resolve(value)
    error = poison(codec, value)
    assert error.reason is Reason.SCHEMA_UNKNOWN
    assert f"not registered under {subject(topics.recordings)}" in error.message

    assert client.register_schema(subject(topics.recordings), elsewhere) == schema_id
    clock.now += REFUSED_FOR_S
    codec.resolve(value)
    assert codec.decode(value) == EVENT


def test_an_id_beyond_any_registry_needs_no_asking(
    nowhere: SchemaRegistryClient, topics: TopicSettings, clock: Clock
) -> None:
    codec = RegistryEventCodec(nowhere, topics.recordings, clock)
    for schema_id in (2**31, 2**32 - 1):
        value = frame(schema_id, b"")
        codec.resolve(value)
        assert poison(codec, value).reason is Reason.SCHEMA_UNKNOWN
    assert poison(codec, b"\x01").reason is Reason.AVRO_INVALID


def test_a_registered_schema_beyond_the_caps_is_not_read(
    client: SchemaRegistryClient, topics: TopicSettings, codec: RegistryEventCodec
) -> None:
    bomb = other_schema(type={"type": "array", "items": "null"})
    value = frame(client.register_schema(subject(topics.recordings), bomb), b"\x80\x89\x98\x13\x00")
    codec.resolve(value)
    assert poison(codec, value).reason is Reason.AVRO_INVALID


def test_without_a_registry_known_ids_go_on_and_others_wait(
    client: SchemaRegistryClient, nowhere: SchemaRegistryClient, topics: TopicSettings, codec: RegistryEventCodec
) -> None:
    register_schemas(client, topics)
    value = frame(look_up_events(client, topics), encode(EVENT))
    codec.resolve(value)
    codec._client = nowhere
    assert codec.decode(value) == EVENT
    with pytest.raises(DependencyDownError):
        codec.resolve(frame(123_456, b""))


def test_an_address_that_is_no_registry_is_down_and_not_the_records_fault(
    patient: Settings, topics: TopicSettings, clock: Clock
) -> None:
    wrong = patient.registry.model_copy(update={"url": patient.registry.url + "/nothing/here"})
    with connect(wrong) as client, pytest.raises(DependencyDownError):
        RegistryEventCodec(client, topics.recordings, clock).resolve(frame(1, b""))
