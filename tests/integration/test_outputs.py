"""Reading results, dead letters and ledger from real servers, while others write."""

import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from structlog.testing import capture_logs

from streamproc.demo.plan import Announcement
from streamproc.demo.tally import Sent
from streamproc.errors import DependencyDownError, PoisonError, Reason, Stage, UsageError
from streamproc.kafka.own_schemas import look_up_events, look_up_outputs
from streamproc.kafka.registry import connect
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.foreign import Foreign
from streamproc.operate.outputs import Outputs, open_outputs
from streamproc.records.avro import OutputCodec, encode, frame
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.record import Record
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from streamproc.wiring import prepare
from tests.unit.demo.made import ledger, result

ONE = Announcement("one", "k", "result", "ok", "e", "demo/one.wav", label="angry")


@pytest.fixture
def ready(patient: Settings) -> Settings:
    """Settings with topics of this test's own."""
    name = uuid.uuid4().hex
    own = {kind: f"{kind}.{name}" for kind in ("recordings", "results", "segments", "ledger")}
    topics = patient.topics.model_copy(update={"partitions": 2, **own})
    settings = patient.model_copy(update={"topics": topics})
    prepare(settings)
    return settings


@pytest.fixture
def codec(ready: Settings) -> Iterator[OutputCodec]:
    with connect(ready.registry) as registry:
        yield look_up_outputs(registry, ready.topics)


@pytest.fixture
def writer(ready: Settings) -> Producer:
    """A transactional producer, like a worker's."""
    producer = Producer(
        {"bootstrap.servers": ready.kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex, "linger.ms": 0}
    )
    producer.init_transactions(60)
    return producer


def row(number: int) -> EmotionResult:
    return result(Sent(ONE, 0, number))


def rest(outputs: Outputs) -> list[int]:
    return sorted(got.input_offset for got in outputs.rest() if isinstance(got, EmotionResult))


def write(writer: Producer, settings: Settings, codec: OutputCodec, numbers: range, at_ms: int = 0) -> None:
    for number in numbers:
        writer.produce(settings.topics.results, codec.encode(row(number)), b"k", partition=number % 2, timestamp=at_ms)
    writer.flush(60)


def test_only_what_is_committed_is_read_and_the_rest_ends_there(
    ready: Settings, codec: OutputCodec, writer: Producer
) -> None:
    with open_outputs(ready, [ready.topics.results], 0) as outputs:
        assert rest(outputs) == []
        writer.begin_transaction()
        write(writer, ready, codec, range(5))
        assert rest(outputs) == []
        writer.commit_transaction(60)
        assert rest(outputs) == [0, 1, 2, 3, 4]
        writer.begin_transaction()
        write(writer, ready, codec, range(5, 8))
        writer.abort_transaction(60)
        assert rest(outputs) == []
    with open_outputs(ready, [ready.topics.results], 0) as outputs:
        (first, *_) = (got for got in outputs.rest() if isinstance(got, EmotionResult) and got.input_offset == 0)
        assert first == row(0)


def test_from_now_on_leaves_out_what_was_there(ready: Settings, codec: OutputCodec, writer: Producer) -> None:
    writer.begin_transaction()
    write(writer, ready, codec, range(3))
    writer.commit_transaction(60)
    with open_outputs(ready, [ready.topics.results], None) as outputs:
        writer.begin_transaction()
        write(writer, ready, codec, range(3, 5))
        writer.commit_transaction(60)
        assert rest(outputs) == [3, 4]


def test_since_begins_at_the_moment(ready: Settings, codec: OutputCodec, writer: Producer) -> None:
    now_ms = time.time_ns() // 1_000_000
    writer.begin_transaction()
    write(writer, ready, codec, range(4), now_ms - 3_600_000)
    write(writer, ready, codec, range(4, 8), now_ms)
    writer.commit_transaction(60)
    with open_outputs(ready, [ready.topics.results], now_ms - 60_000) as outputs:
        assert rest(outputs) == [4, 5, 6, 7]


def test_dead_letters_and_ledger_are_read_beside_results(ready: Settings, codec: OutputCodec, writer: Producer) -> None:
    origin = Record(ready.topics.recordings, 1, 7, 1, b"k", b"garbage")
    error = PoisonError(Reason.AVRO_INVALID, Stage.ADMIT, "no")
    attempt = Attempt(origin.topic, 1, 7, 1, 1)
    headers = failure_headers(attempt, error)
    writer.begin_transaction()
    writer.produce(ready.topics.dead_letters, origin.value, origin.key, headers=list(headers))
    writer.produce(ready.topics.ledger, codec.encode(ledger(7, 7, partition=1)), b"k")
    write(writer, ready, codec, range(1))
    writer.commit_transaction(60)
    topics = ready.topics
    with open_outputs(ready, [topics.results, topics.dead_letters, topics.ledger], 0) as outputs:
        got = list(outputs.rest())
    assert len(got) == 3
    assert ledger(7, 7, partition=1) in got
    (letter,) = [one for one in got if isinstance(one, DeadLetter)]
    assert (letter.partition, letter.offset, letter.reason) == (1, 7, "avro_invalid")
    assert (letter.event_id, letter.object_key) == (None, None)


def test_a_dead_letter_names_the_event_that_it_began_as(ready: Settings, writer: Producer) -> None:
    event = RecordingEvent("e-1", 0, "recordings", "calls/gone.wav")
    with connect(ready.registry) as registry:
        value = frame(look_up_events(registry, ready.topics), encode(event))
    error = PoisonError(Reason.OBJECT_MISSING, Stage.FETCH, "no")
    headers = failure_headers(Attempt(ready.topics.recordings, 1, 7, 1, 1), error)
    writer.begin_transaction()
    writer.produce(ready.topics.dead_letters, value, b"k", headers=list(headers))
    writer.commit_transaction(60)
    with open_outputs(ready, [ready.topics.dead_letters], 0) as outputs:
        (letter,) = outputs.rest()
    assert isinstance(letter, DeadLetter)
    assert (letter.event_id, letter.object_key) == ("e-1", "calls/gone.wav")


def test_what_another_program_wrote_is_named_by_its_place_and_ends_no_reader(
    ready: Settings, codec: OutputCodec, writer: Producer
) -> None:
    results, dead_letters = ready.topics.results, ready.topics.dead_letters
    writer.begin_transaction()
    writer.produce(results, b"hello", b"k", partition=1)
    writer.produce(dead_letters, b"hello", b"k", partition=0)
    write(writer, ready, codec, range(2))
    writer.commit_transaction(60)
    foreign = Foreign()
    with open_outputs(ready, [results], 0, foreign.note) as outputs:
        assert rest(outputs) == [0, 1]
    assert foreign.count == 1
    assert foreign.first.startswith(f"{results}/1/0 is no EmotionResult: ")
    with open_outputs(ready, [dead_letters], 0, foreign.note) as outputs, capture_logs() as lines:
        assert list(outputs.rest()) == []
    assert (foreign.count, lines) == (2, [])
    with open_outputs(ready, [dead_letters], 0) as outputs, capture_logs() as lines:
        assert list(outputs.rest()) == []
    assert [(line["topic"], line["partition"], line["offset"]) for line in lines] == [(dead_letters, 0, 0)]


def test_a_topic_that_is_not_there_is_wrong_use_with_what_to_do(ready: Settings) -> None:
    with (
        pytest.raises(UsageError, match=r"no topic never\.made at .*streamproc up"),
        open_outputs(ready, ["never.made"], 0),
    ):
        pass


def test_no_broker_is_a_dependency_that_is_away(ready: Settings) -> None:
    nowhere = ready.model_copy(update={"kafka": ready.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})})
    with pytest.raises(DependencyDownError, match=r"127\.0\.0\.1:1"), open_outputs(nowhere, ["any"], 0):
        pass
