"""What every codec of events does, the one in memory and the one that asks the real registry."""

import uuid
from collections.abc import Iterator
from typing import Protocol, get_args

import pytest
from confluent_kafka.schema_registry import Schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.errors import DependencyDownError, PoisonError, Reason, UnresolvedError
from streamproc.kafka.event_codec import REFUSED_FOR_S, RegistryEventCodec
from streamproc.kafka.own_schemas import look_up_events, register_schemas
from streamproc.kafka.registry import Registry
from streamproc.records.avro import encode, frame, schema_of
from streamproc.records.recording import Channels, RecordingEvent, default_event_id
from streamproc.records.topics import subject
from streamproc.settings import TopicSettings
from streamproc.telemetry.clock import Clock
from streamproc.testing.clock import ManualClock
from streamproc.testing.codec import JsonEvents, encode_event
from streamproc.worker.ports import EventCodec

EVENT = RecordingEvent("e", 1, "b", "k")
LARGEST_ID = 2**31 - 1
"""No registry of a test has given so many."""


class World(Protocol):
    """A codec, and the registry that it asks."""

    @property
    def codec(self) -> EventCodec: ...
    @property
    def ours(self) -> int: ...  # an id of the topic's subject
    def framed(self, schema_id: int, payload: bytes) -> bytes: ...
    def payload(self, event: RecordingEvent) -> bytes: ...
    def theirs(self) -> int: ...  # an id of another subject
    def adopt(self, schema_id: int) -> None: ...  # register it under the topic's subject as well
    def down(self) -> None: ...
    def up(self) -> None: ...


class JsonWorld:
    ours = 1

    def __init__(self, clock: Clock) -> None:
        self.codec = JsonEvents(clock.monotonic)

    def framed(self, schema_id: int, payload: bytes) -> bytes:
        return b"%d:" % schema_id + payload

    def payload(self, event: RecordingEvent) -> bytes:
        fields = event.plain()
        return encode_event(event.object_key, fields=fields).partition(b":")[2]

    def theirs(self) -> int:
        return 7

    def adopt(self, schema_id: int) -> None:
        self.codec.registered.add(schema_id)

    def down(self) -> None:
        self.codec.down = True

    def up(self) -> None:
        self.codec.down = False


class RegistryWorld:
    def __init__(self, client: Registry, nowhere: Registry, topics: TopicSettings, clock: Clock) -> None:
        register_schemas(client, topics)
        self.ours = look_up_events(client, topics)
        self.codec = RegistryEventCodec(client, topics.recordings, clock.monotonic)
        self._subject = subject(topics.recordings)
        self._client = client
        self._nowhere = nowhere
        self._other = Schema(schema_of(RecordingEvent).text.replace("Announces", f"Announces {uuid.uuid4()}"), "AVRO")

    def framed(self, schema_id: int, payload: bytes) -> bytes:
        return frame(schema_id, payload)

    def payload(self, event: RecordingEvent) -> bytes:
        return encode(event)

    def theirs(self) -> int:
        return self._client.register_schema(f"{uuid.uuid4()}-value", self._other)

    def adopt(self, schema_id: int) -> None:
        assert self._client.register_schema(self._subject, self._other) == schema_id

    def down(self) -> None:
        self.codec._client = self._nowhere

    def up(self) -> None:
        self.codec._client = self._client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", pytest.param("registry", marks=pytest.mark.servers)])
def world(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[World]:
    if request.param == "memory":
        yield JsonWorld(clock)
        return
    client, nowhere, topics = (request.getfixturevalue(name) for name in ("client", "nowhere", "topics"))
    yield RegistryWorld(client, nowhere, topics, clock)


def value_of(world: World, event: RecordingEvent = EVENT, schema_id: int | None = None) -> bytes:
    return world.framed(world.ours if schema_id is None else schema_id, world.payload(event))


def resolved(world: World) -> World:
    """One that knows the topic's own schema."""
    world.codec.resolve(value_of(world))
    return world


def poison(codec: EventCodec, value: bytes) -> Reason:
    with pytest.raises(PoisonError) as caught:
        codec.decode(value)
    return caught.value.reason


def test_a_schema_is_asked_for_once_and_then_known_without_a_registry(world: World) -> None:
    value = value_of(world)
    assert not world.codec.known(value)
    with pytest.raises(UnresolvedError):
        world.codec.decode(value)
    world.codec.resolve(value)
    world.down()
    assert world.codec.known(value)
    world.codec.resolve(value)
    assert world.codec.decode(value) == EVENT


words = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
longs = st.integers(0, 2**63 - 1)
events = st.builds(
    RecordingEvent,
    event_id=words.filter(bool),
    recorded_at=st.integers(-62_135_596_800_000, 253_402_300_799_999),
    bucket=words,
    object_key=words,
    version_id=st.none() | words,
    etag=st.none() | words,
    content_sha256=st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
    size_bytes=st.none() | longs,
    duration_ms=st.none() | longs,
    content_type=st.none() | words,
    tenant=st.none() | words,
    call_id=st.none() | words,
    agent=st.none() | words,
    queue=st.none() | words,
    language=st.none() | words,
    channels=st.sampled_from(get_args(Channels)),
    outputs=st.sets(st.sampled_from(["scores", "segments"]), min_size=1).map(frozenset),
    attributes=st.dictionaries(words, words, max_size=3),
)
in_one_world = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_one_world
@given(events)
def test_a_valid_event_is_read_as_it_was_written(world: World, event: RecordingEvent) -> None:
    assert resolved(world).codec.decode(value_of(world, event)) == event


def test_an_event_without_an_id_gets_one_of_its_object(world: World) -> None:
    nameless = EVENT._replace(event_id="", version_id="v")
    event = resolved(world).codec.decode(value_of(world, nameless))
    assert event == nameless._replace(event_id=default_event_id(nameless._asdict()))


@pytest.mark.parametrize(
    "event",
    [
        EVENT._replace(channels="left"),  # type: ignore[arg-type]  # what a producer may write all the same
        EVENT._replace(outputs=frozenset({"transcript"})),
        EVENT._replace(content_sha256="AB"),
        EVENT._replace(size_bytes=-1),
        EVENT._replace(recorded_at=2**63 - 1),
    ],
    ids=["channels", "outputs", "sha256", "size", "time"],
)
def test_what_no_later_step_could_use_is_no_event(world: World, event: RecordingEvent) -> None:
    assert poison(resolved(world).codec, value_of(world, event)) is Reason.EVENT_INVALID


def test_a_value_cut_anywhere_is_not_read(world: World) -> None:
    value = value_of(resolved(world), EVENT._replace(attributes={"a": "b"}))
    for size in range(len(value)):
        assert world.codec.known(value[:size])
        assert poison(world.codec, value[:size]) is Reason.AVRO_INVALID


def test_bytes_after_the_end_are_not_read_over(world: World) -> None:
    assert poison(resolved(world).codec, value_of(world) + b"\0") is Reason.AVRO_INVALID


@pytest.mark.parametrize("value", [b"", b"\0", b"\1", b"\xff" * 40, b"a text that is no event", b"-1:{}", b"17"])
def test_what_names_no_schema_needs_no_registry(world: World, value: bytes) -> None:
    world.down()
    assert world.codec.known(value)
    world.codec.resolve(value)
    assert poison(world.codec, value) is Reason.AVRO_INVALID


@in_one_world
@given(payload=st.binary(max_size=60), own=st.booleans())
def test_whatever_the_bytes_are_they_are_an_event_or_poison_or_not_resolved(
    world: World, payload: bytes, *, own: bool
) -> None:
    value = resolved(world).framed(world.ours, payload) if own else payload
    try:
        event = world.codec.decode(value)
    except PoisonError:
        return
    except UnresolvedError:
        assert not world.codec.known(value)
        return
    assert isinstance(event, RecordingEvent)


def test_an_id_that_nobody_gave_is_remembered_for_a_while(world: World, clock: ManualClock) -> None:
    value = value_of(world, schema_id=LARGEST_ID)
    world.codec.resolve(value)
    world.down()
    clock.advance(REFUSED_FOR_S - 0.001)
    assert world.codec.known(value)
    world.codec.resolve(value)
    assert poison(world.codec, value) is Reason.SCHEMA_UNKNOWN
    clock.advance(0.001)
    assert not world.codec.known(value)
    with pytest.raises(DependencyDownError):
        world.codec.resolve(value)
    assert poison(world.codec, value) is Reason.SCHEMA_UNKNOWN


def test_a_schema_of_another_topic_is_unknown_until_it_is_registered_here(world: World, clock: ManualClock) -> None:
    theirs = world.theirs()
    value = value_of(world, schema_id=theirs)
    world.codec.resolve(value)
    assert poison(world.codec, value) is Reason.SCHEMA_UNKNOWN
    world.adopt(theirs)
    assert poison(world.codec, value) is Reason.SCHEMA_UNKNOWN
    clock.advance(REFUSED_FOR_S)
    assert not world.codec.known(value)
    world.codec.resolve(value)
    assert world.codec.decode(value) == EVENT


@pytest.mark.parametrize("schema_id", [LARGEST_ID + 1, 2**32 - 1])
def test_an_id_beyond_any_registry_needs_no_asking(world: World, schema_id: int) -> None:
    world.down()
    value = value_of(world, schema_id=schema_id)
    assert world.codec.known(value)
    world.codec.resolve(value)
    assert poison(world.codec, value) is Reason.SCHEMA_UNKNOWN


def test_a_registry_that_is_down_teaches_nothing(world: World) -> None:
    value = value_of(world)
    world.down()
    with pytest.raises(DependencyDownError):
        world.codec.resolve(value)
    assert not world.codec.known(value)
    with pytest.raises(UnresolvedError):
        world.codec.decode(value)
    world.up()
    world.codec.resolve(value)
    assert world.codec.decode(value) == EVENT


@pytest.mark.parametrize("text", [b"{}", b"1", b"[]", b'{"recorded_at": "now"}', b"[" * 100_000])
def test_json_that_is_no_event_is_not_read(clock: ManualClock, text: bytes) -> None:
    world = resolved(JsonWorld(clock))
    assert poison(world.codec, world.framed(world.ours, text)) is Reason.AVRO_INVALID
