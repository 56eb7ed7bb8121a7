"""Stretches of topics on a real broker: what is committed, from where to where, and what is not there."""

import time
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # re-exported unsaid

from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.log import GoneError, Log
from streamproc.records.record import TopicPartition as Place
from streamproc.settings import Settings
from tests.beside import beside

ANSWER_S = 60


@pytest.fixture
def topic(patient: Settings) -> str:
    name = f"log.{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": patient.kafka.bootstrap_servers})
    for future in admin.create_topics([NewTopic(name, 2)]).values():
        future.result(ANSWER_S)
    return name


@pytest.fixture
def log(patient: Settings) -> Iterator[Log]:
    with closing(Log(patient, "somebody")) as log:
        yield log


@pytest.fixture
def writer(patient: Settings) -> Producer:
    producer = Producer({"bootstrap.servers": patient.kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(ANSWER_S)
    return producer


def write(writer: Producer, topic: str, numbers: range, *, commit: bool = True, at_ms: int = 0) -> None:
    writer.begin_transaction()
    for number in numbers:
        writer.produce(topic, b"%d" % number, partition=0, timestamp=at_ms)
    writer.flush(ANSWER_S)
    if commit:
        writer.commit_transaction(ANSWER_S)
    else:
        writer.abort_transaction(ANSWER_S)


def read(log: Log, stretches: dict[Place, range]) -> list[tuple[int | None, bytes | None]]:
    taken = log.read(stretches, lambda message: (message.offset(), message.value()))
    return [one for some in taken for one in some]


def test_holes_are_where_no_committed_record_is(log: Log, topic: str, writer: Producer) -> None:
    write(writer, topic, range(3))  # offsets 0 to 2, the end mark is 3
    write(writer, topic, range(3, 5), commit=False)  # 4 and 5, the end mark is 6
    write(writer, topic, range(5, 7))  # 7 and 8, the end mark is 9
    full, empty = log.partitions(topic)
    bounds = log.decided([full, empty], ANSWER_S)
    assert bounds == {full: range(10), empty: range(0)}
    assert [offset for offset, _ in read(log, dict(bounds))] == [0, 1, 2, 7, 8]


def test_what_an_open_transaction_holds_back_is_waited_for(
    log: Log, topic: str, writer: Producer, patient: Settings
) -> None:
    write(writer, topic, range(3))
    place, _ = log.partitions(topic)
    other = Producer({"bootstrap.servers": patient.kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex})
    other.init_transactions(ANSWER_S)
    other.begin_transaction()
    other.produce(topic, b"late", partition=0)
    other.flush(ANSWER_S)
    assert log.decided([place], 0.2) == {place: range(4)}

    def commit_soon() -> None:
        time.sleep(0.3)
        other.commit_transaction(ANSWER_S)

    committed = beside(commit_soon)
    assert log.decided([place], ANSWER_S) == {place: range(6)}
    committed.result(ANSWER_S)


def test_a_stretch_is_read_to_its_end_and_no_further(log: Log, topic: str, writer: Producer) -> None:
    write(writer, topic, range(50))
    (place, other) = log.partitions(topic)
    assert read(log, {place: range(10, 13)}) == [(10, b"10"), (11, b"11"), (12, b"12")]
    assert [offset for offset, _ in read(log, {place: range(48, 1000), other: range(5)})] == [48, 49]
    assert read(log, {place: range(7, 7)}) == []


def test_a_moment_is_the_first_record_at_or_after_it(log: Log, topic: str, writer: Producer) -> None:
    minute_ms, now_ms = 60_000, time.time_ns() // 1_000_000
    write(writer, topic, range(5), at_ms=now_ms + minute_ms)
    write(writer, topic, range(5), at_ms=now_ms + 2 * minute_ms)
    place, empty = log.partitions(topic)
    assert log.at([place, empty], now_ms + minute_ms + 1) == {place: 6, empty: 0}
    assert log.at([place], now_ms + 3 * minute_ms) == {place: 12}


def test_only_what_the_group_committed_is_told(log: Log, topic: str, patient: Settings) -> None:
    place, other = log.partitions(topic)
    assert log.committed([place, other]) == {}
    consumer = Consumer({"bootstrap.servers": patient.kafka.bootstrap_servers, "group.id": "somebody"})
    consumer.commit(offsets=[TopicPartition(topic, 1, 7)], asynchronous=False)
    consumer.close()
    assert log.committed([place, other]) == {other: 7}


def test_records_that_retention_took_meanwhile_are_an_error(
    log: Log, topic: str, writer: Producer, patient: Settings
) -> None:
    write(writer, topic, range(10))
    place, _ = log.partitions(topic)
    admin = AdminClient({"bootstrap.servers": patient.kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(topic, 0, 5)]).values():
        future.result(ANSWER_S)
    assert log.decided([place], ANSWER_S) == {place: range(5, 11)}
    with pytest.raises(GoneError, match=r"retention took records"):
        read(log, {place: range(10)})


def test_no_topic_and_no_broker_are_told_apart(log: Log, patient: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no topic never"):
        log.partitions("never")
    monkeypatch.setattr("streamproc.kafka.lookup._CALL_S", 0.5)
    nowhere = patient.model_copy(
        update={"kafka": patient.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})}
    )
    with closing(Log(nowhere, "g")) as away, pytest.raises(DependencyDownError, match=r"127\.0\.0\.1:1"):
        away.partitions("any")


def test_who_stops_reading_may_close_before_the_reading_ends(patient: Settings, topic: str, writer: Producer) -> None:
    write(writer, topic, range(5))
    log = Log(patient, "somebody")
    taken = log.read({Place(topic, 0): range(5)}, lambda message: message.offset())
    first = next(taken)
    log.close()
    taken.close()  # type: ignore[attr-defined]  # it is a generator, as collecting it finds out
    assert first[0] == 0
    assert list(taken) == []
