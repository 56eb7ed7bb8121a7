"""Where a connector stands and where there is something to read, on a real broker."""

import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # re-exported unsaid

from streamproc.errors import DependencyDownError
from streamproc.operate.place import Place
from streamproc.operate.warehouse.aside import Aside, aside
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


def topics_with(settings: Settings, dead_letters: str) -> TopicSettings:
    return settings.topics.model_copy(update={"connect_dead_letters": dead_letters})


def test_brokers_that_are_away_are_a_dependency(patient: Settings) -> None:
    nowhere = patient.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(DependencyDownError, match="kafka"):
        unread(patient.model_copy(update={"kafka": nowhere}), [Place(TopicPartition("t", 0), 0)])
