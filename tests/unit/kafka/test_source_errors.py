"""What the source makes of brokers that go away, on librdkafka's mock broker."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from confluent_kafka import Producer

from streamproc.errors import FatalError
from streamproc.kafka import source as module
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.settings import FlowSettings, KafkaSettings, Settings
from tests.unit.kafka.mock_cluster import OFFSET_FETCH, MockCluster, mock_cluster, produce_with_headers

TOPIC = "in"
PATIENCE_S = 20.0


class Nobody:
    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """Not of interest here."""

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Not of interest here."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Not of interest here."""


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as cluster:
        cluster.create_topic(TOPIC)
        yield cluster


@pytest.fixture
def source(cluster: MockCluster) -> Iterator[KafkaSource]:
    settings = Settings(
        kafka=KafkaSettings(
            bootstrap_servers=cluster.bootstrap_servers, transaction_timeout_s=1, max_poll_interval_s=10
        ),
        flow=FlowSettings(drain_s=1),
    )
    source = KafkaSource(settings, [TOPIC], Nobody())
    yield source
    source.close()


def poll_until(source: KafkaSource, done: Callable[[], bool]) -> list[Record]:
    taken: list[Record] = []
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, source.trouble
        taken += source.poll(10, 0.1)
    return taken


def poll_some(source: KafkaSource) -> list[Record]:
    taken: list[Record] = []
    end = time.monotonic() + PATIENCE_S
    while not taken and time.monotonic() < end:
        taken += source.poll(10, 0.1)
    return taken


def trouble(source: KafkaSource) -> str:
    return source.trouble or ""


def test_a_broker_that_goes_away_is_trouble_until_it_is_back_also_without_records(
    cluster: MockCluster, source: KafkaSource
) -> None:
    poll_until(source, lambda: bool(source.at_end))
    assert trouble(source) == ""
    cluster.set_down()
    poll_until(source, lambda: source.trouble is not None)
    assert trouble(source).startswith(("_TRANSPORT", "_ALL_BROKERS_DOWN"))
    cluster.set_up()
    poll_until(source, lambda: source.trouble is None)


def test_records_go_on_after_a_broker_was_away(cluster: MockCluster, source: KafkaSource) -> None:
    poll_until(source, lambda: bool(source.at_end))
    cluster.set_down()
    poll_until(source, lambda: source.trouble is not None)
    cluster.set_up()
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    producer.produce(TOPIC, b"v")
    assert producer.flush(PATIENCE_S) == 0
    assert [record.value for record in poll_some(source)] == [b"v"]


@pytest.mark.parametrize(
    "names", [[b"\xff"], [b"\xff", b"a"], [b"a", b"\xff"], [b"a", b"\xff", b"b", b"\xfe"], [b"\xff"] * 1000]
)
def test_header_names_that_are_not_utf8_do_not_stop_the_partition(
    cluster: MockCluster, source: KafkaSource, names: list[bytes]
) -> None:
    produce_with_headers(cluster.bootstrap_servers, TOPIC, b"v", names)
    (record,) = poll_some(source)
    assert record.value == b"v"
    assert [name for name, _ in record.headers] == [module.UNREADABLE_HEADERS]


def test_committed_offsets_that_come_late_are_waited_for(cluster: MockCluster, source: KafkaSource) -> None:
    cluster.answer(OFFSET_FETCH, 14, 16, 88)
    poll_until(source, lambda: bool(source.owned))
    assert source.owned == {TopicPartition(TOPIC, 0)}


def test_committed_offsets_that_stay_away_are_fatal_after_the_budget(cluster: MockCluster, source: KafkaSource) -> None:
    source._start_budget_s = 0.5
    cluster.answer(OFFSET_FETCH, *[14] * 1000)
    with pytest.raises(FatalError, match=rf"where to start {TOPIC}/0 was not learned in 0.5 s"):
        poll_until(source, lambda: False)


def test_a_refusal_is_fatal_at_once(cluster: MockCluster, source: KafkaSource) -> None:
    cluster.answer(OFFSET_FETCH, 30)
    with pytest.raises(FatalError, match="GROUP_AUTHORIZATION_FAILED"):
        poll_until(source, lambda: False)


def test_the_budget_for_a_start_exceeds_a_transaction(source: KafkaSource) -> None:
    assert source._start_budget_s == 1 + module._START_EXTRA_S
