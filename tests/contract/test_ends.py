"""Where partitions end for readers of committed records, and what the broker's clock says, on the real Kafka."""

import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    NewTopic,
)

from streamproc.errors import DependencyDownError
from streamproc.kafka.config import build, client_config, transactional_config
from streamproc.kafka.ends import PartitionEnds
from streamproc.kafka.outbox import Deadline, Outbox
from streamproc.kafka.skew import Skew
from streamproc.records.record import OutputRecord, TopicPartition
from streamproc.records.topics import topic_specs
from streamproc.settings import KafkaSettings, Settings
from tests.contract.worlds import World, worlds


@pytest.fixture
def world(servers: Settings) -> Iterator[World]:
    yield from worlds("consumer", servers)


def read(ends: PartitionEnds, places: list[TopicPartition]) -> Mapping[TopicPartition, int]:
    """What is known; nothing while a new topic has no leader yet."""
    try:
        return ends.read(places)
    except DependencyDownError:
        return {}


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.mark.servers
def test_the_end_is_behind_what_is_committed_and_before_what_is_not(world: World, servers: Settings) -> None:
    ends = PartitionEnds(servers)
    places = [TopicPartition(world.topic, 0), TopicPartition(world.topic, 1)]
    until(lambda: read(ends, places) == dict.fromkeys(places, 0))
    world.publish(3, 0)
    world.publish_in_transaction(2, commit=True)
    committed = ends.read(places)[places[0]]
    assert committed >= 5  # the end of a transaction has an offset too
    assert ends.read([places[1]]) == {places[1]: 0}


@pytest.mark.servers
def test_the_ledger_tells_the_brokers_clock(world: World, servers: Settings) -> None:
    """The broker runs on our own clock; ours is set 5 s back here."""
    spec = topic_specs(servers.topics.model_copy(update={"ledger": f"{world.topic}.ledger"}))[-1]
    admin = AdminClient(client_config(servers))
    made = admin.create_topics([NewTopic(spec.name, 1, 1, config=dict(spec.config))])
    made[spec.name].result(30)
    heard: list[float] = []
    skew = Skew(heard.append, lambda: round(1000 * (time.time() - 5)))
    producer = build(Producer, transactional_config(servers, world.topic))
    producer.init_transactions(30)
    producer.begin_transaction()
    box = Outbox(producer, Deadline(30, time.monotonic), skew)
    box.hand_over([OutputRecord(spec.name, b"k", b"v")])
    box.wait()
    producer.commit_transaction(30)
    assert heard == [pytest.approx(5, abs=2)]


def test_who_does_not_reach_the_broker_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.kafka.ends._ASK_S", 1.0)
    settings = Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(DependencyDownError, match=r"127\.0\.0\.1:1"):
        PartitionEnds(settings).read([TopicPartition("in", 0)])
