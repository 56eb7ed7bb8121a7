"""What whoever looks at the end of a topic sees, in memory and on the real Kafka."""

from collections.abc import Iterator, Sequence

import pytest

from streamproc.errors import DependencyDownError
from streamproc.kafka.newest import NewestRecords
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import KafkaSettings, Settings
from tests.contract.worlds import World, worlds


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.servers)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from worlds("consumer", request.getfixturevalue("servers") if request.param == "kafka" else None)


def places(records: Sequence[Record]) -> list[tuple[int, int, bytes | None]]:
    return [(record.partition, record.offset, record.value) for record in records]


def test_it_is_the_last_record_of_each_partition_that_is_asked_for(world: World) -> None:
    world.publish(3, 0)
    world.publish(1, 1)
    newest = world.newest()
    assert places(newest.read(world.topic, [TopicPartition(world.topic, 0)])) == [(0, 2, b"2")]
    world.publish(1, 0)
    assert places(newest.read(world.topic, [])) == [(0, 3, b"0"), (1, 0, b"0")]


def test_a_partition_without_records_has_none(world: World) -> None:
    world.publish(1, 1)
    assert places(world.newest().read(world.topic, [])) == [(1, 0, b"0")]
    world.delete_before(TopicPartition(world.topic, 1), 1)
    assert world.newest().read(world.topic, []) == []


def test_behind_the_last_record_may_stand_what_readers_do_not_see(world: World) -> None:
    world.publish_in_transaction(2, commit=True)
    for _ in range(3):
        world.publish_in_transaction(30, commit=False)
    assert places(world.newest().read(world.topic, [])) == [(0, 1, b"1")]


def test_who_does_not_reach_the_broker_says_so() -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(DependencyDownError, match=r"127\.0\.0\.1:1"):
        NewestRecords(settings).read("in", [TopicPartition("in", 0)])
