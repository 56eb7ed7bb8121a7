"""Where a connector stands and where there is something to read, on a real broker."""

import uuid

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as KafkaPlace
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # re-exported unsaid

from streamproc.errors import DependencyDownError
from streamproc.operate.place import Place
from streamproc.operate.warehouse.aside import HEADER, Aside, aside
from streamproc.operate.warehouse.lag import GROUP, lag
from streamproc.operate.warehouse.unread import unread
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings, TopicSettings

ANSWER_S = 60


def test_a_place_has_something_to_read_only_where_a_committed_record_is(patient: Settings) -> None:
    topic, servers = f"unread.{uuid.uuid4().hex}", patient.kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(topic, 3)]).values():
        future.result(ANSWER_S)
    producer = Producer({"bootstrap.servers": servers, "transactional.id": topic})
    producer.init_transactions(ANSWER_S)
    for commit in (True, False):  # in partition 0 offsets 0 and 1, a mark, 3 and 4 that were aborted, a mark
        producer.begin_transaction()
        for partition in (0, 0, 1):
            producer.produce(topic, b"x", partition=partition)
        producer.flush(ANSWER_S)
        (producer.commit_transaction if commit else producer.abort_transaction)(ANSWER_S)

    def stands(*offsets: int) -> list[str]:
        places = [Place(TopicPartition(topic, number), offset) for number, offset in enumerate(offsets)]
        return [str(place.partition.partition) for place in unread(patient, places)]

    assert stands(0, 0, 0) == ["0", "1"]
    assert stands(1, 1, 0) == ["0"]
    assert stands(2, 1, 0) == []
    assert stands(6, 4, 0) == []
    assert stands() == []


def test_a_record_behind_many_that_were_aborted_is_found(patient: Settings) -> None:
    topic, servers = f"unread.{uuid.uuid4().hex}", patient.kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})
    (made,) = admin.create_topics([NewTopic(topic, 2)]).values()
    made.result(ANSWER_S)
    producer = Producer({"bootstrap.servers": servers, "transactional.id": topic})
    producer.init_transactions(ANSWER_S)
    for count, end in ((200, producer.abort_transaction), (1, producer.commit_transaction)):
        producer.begin_transaction()
        for _ in range(count):
            producer.produce(topic, b"x", partition=0)
        producer.flush(ANSWER_S)
        end(ANSWER_S)
    places = [Place(TopicPartition(topic, number), 0) for number in range(2)]
    assert unread(patient, places) == places[:1]
    assert aside(patient.model_copy(update={"topics": topics_with(patient, f"none.{topic}")}), 5) == Aside(0, 0, ())


def test_what_a_connector_put_aside_is_not_behind(patient: Settings) -> None:
    topic, dead = f"lag.{uuid.uuid4().hex}", f"dead.{uuid.uuid4().hex}"
    settings = patient.model_copy(update={"topics": topics_with(patient, dead)})
    servers = patient.kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(topic, 2), NewTopic(dead, 1)]).values():
        future.result(ANSWER_S)
    producer = Producer({"bootstrap.servers": servers})

    def write(to: str, *more: tuple[str, bytes], partition: int = 0) -> None:
        producer.produce(to, b"x", partition=partition, timestamp=1_000, headers=list(more))
        assert producer.flush(ANSWER_S) == 0

    def put_aside(offset: int, connector: str) -> None:
        told = {"topic": topic, "partition": "0", "offset": str(offset), "connector.name": connector}
        write(dead, *((f"{HEADER}{name}", value.encode()) for name, value in told.items()))

    def behind() -> tuple[int, float]:
        found = lag(settings, topic, topic, 3_000)
        return found.records, found.seconds

    for _ in range(3):
        write(topic)
    done = ConsumerGroupTopicPartitions(f"{GROUP}{topic}", [KafkaPlace(topic, 0, 1), KafkaPlace(topic, 1, 0)])
    (committed,) = admin.alter_consumer_group_offsets([done]).values()
    committed.result(ANSWER_S)
    assert behind() == (2, 2.0)
    write(dead)  # another program's
    put_aside(1, "other")
    put_aside(2, topic)
    assert behind() == (2, 2.0)
    put_aside(1, topic)
    assert behind() == (0, 0.0)
    write(topic)
    write(topic, partition=1)
    assert behind() == (2, 2.0)


def topics_with(settings: Settings, dead_letters: str) -> TopicSettings:
    return settings.topics.model_copy(update={"connect_dead_letters": dead_letters})


def test_brokers_that_are_away_are_a_dependency(patient: Settings) -> None:
    nowhere = patient.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(DependencyDownError, match="kafka"):
        unread(patient.model_copy(update={"kafka": nowhere}), [Place(TopicPartition("t", 0), 0)])
