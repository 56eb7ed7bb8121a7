"""What the source makes of brokers that go away, on librdkafka's mock broker."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import confluent_kafka
import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from streamproc.chain import START_EXTRA_S
from streamproc.errors import FatalError
from streamproc.kafka import starts
from streamproc.kafka.messages import UNREADABLE_HEADERS
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.settings import KafkaSettings, Settings
from tests.unit.kafka.mock_cluster import (
    GROUP_HEARTBEAT,
    HEARTBEAT,
    HEARTBEAT_MS,
    OFFSET_FETCH,
    MockCluster,
    mock_cluster,
    produce_with_headers,
)

TOPIC = "in"
PATIENCE_S = 90.0
WARM = 200
"""Calls after which the interpreter has specialised them."""


class Told:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.starts: list[CommitOffset] = []

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        self.names += [f"assigned {name}" for name in starts]
        self.starts += starts.values()

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.names += [f"revoked {name}" for name in partitions]

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.names += [f"lost {name}" for name in partitions]

    def asked(self) -> None:
        """Each test serves by itself."""


class Nobody:
    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """Not of interest here."""

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Not of interest here."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Not of interest here."""

    def asked(self) -> None:
        """Each test serves by itself."""


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as cluster:
        cluster.create_topic(TOPIC)
        yield cluster


@pytest.fixture
def source(cluster: MockCluster) -> Iterator[KafkaSource]:
    source = KafkaSource(settings_for(cluster), [TOPIC], Nobody())
    yield source
    source.close()


def settings_for(cluster: MockCluster, **changes: object) -> Settings:
    return Settings(kafka=KafkaSettings.model_validate({"bootstrap_servers": cluster.bootstrap_servers} | changes))


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
    poll_until(source, lambda: bool(source.at_end) and source.trouble is None)
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
    assert [name for name, _ in record.headers] == [UNREADABLE_HEADERS]


def test_header_names_are_refused_too_once_the_interpreter_has_warmed_up(
    cluster: MockCluster, source: KafkaSource
) -> None:
    """The client returns with an exception set, which a specialised call of Python 3.11 and later does not look at."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    for _ in range(WARM):
        producer.produce(TOPIC, b"v", headers=[("a", b"b")])
    assert producer.flush(PATIENCE_S) == 0
    end, taken = time.monotonic() + PATIENCE_S, 0
    while taken < WARM:
        assert time.monotonic() < end
        taken += len(source.poll(100, 0.1))
    produce_with_headers(cluster.bootstrap_servers, TOPIC, b"v", [b"\xff"])
    (record,) = poll_some(source)
    assert [name for name, _ in record.headers] == [UNREADABLE_HEADERS]


def test_committed_offsets_that_come_late_are_waited_for(cluster: MockCluster, source: KafkaSource) -> None:
    cluster.answer(OFFSET_FETCH, 14, 16, 88)
    poll_until(source, lambda: bool(source.owned))
    assert source.owned == {TopicPartition(TOPIC, 0)}


def test_committed_offsets_that_stay_away_are_fatal_after_the_budget(
    cluster: MockCluster, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "_CALL_S", 0.5)
    source._start_budget_s = 0.5
    cluster.answer(OFFSET_FETCH, *[14] * 1000)
    with pytest.raises(FatalError, match=rf"where to start {TOPIC}/0 was not learned in 0.5 s"):
        poll_until(source, lambda: False)


def test_a_refusal_is_fatal_at_once(cluster: MockCluster, source: KafkaSource) -> None:
    cluster.answer(OFFSET_FETCH, 30)
    with pytest.raises(FatalError, match="GROUP_AUTHORIZATION_FAILED"):
        poll_until(source, lambda: False)


def test_the_budget_for_a_start_exceeds_a_transaction(cluster: MockCluster, source: KafkaSource) -> None:
    assert source._start_budget_s == settings_for(cluster).kafka.transaction_timeout_s + START_EXTRA_S


def close_with_an_assignment_on_its_way(cluster: MockCluster, protocol: str) -> bool:
    """Join without a poll, and close when the group has given us the partition; whether it had, seen in the log."""
    told = Told()
    source = KafkaSource(settings_for(cluster, group_protocol=protocol, session_timeout_s=0.4), [TOPIC], told)
    source._start_budget_s = 0.5
    api = HEARTBEAT if protocol == "classic" else GROUP_HEARTBEAT
    enough = cluster.count(api) + (2 if protocol == "classic" else 5)
    end = time.monotonic() + PATIENCE_S
    while cluster.count(api) < enough:
        assert time.monotonic() < end
        time.sleep(0.01)
    with structlog.testing.capture_logs() as lines:
        source.close()
    assert told.names == []
    assert source.owned == frozenset()
    return any(line["event"].startswith("partitions not taken") for line in lines)


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_closing_source_neither_takes_partitions_nor_asks_where_they_start(
    cluster: MockCluster, protocol: str
) -> None:
    cluster.answer(OFFSET_FETCH, *[14] * 1000)
    end = time.monotonic() + PATIENCE_S
    while not close_with_an_assignment_on_its_way(cluster, protocol):
        assert time.monotonic() < end
    assert cluster.count(OFFSET_FETCH) == 0


def test_a_commit_that_a_closed_source_cannot_make_is_refused(source: KafkaSource) -> None:
    poll_until(source, lambda: bool(source.owned))
    refusals: list[KafkaException] = []

    def commit() -> None:
        try:
            source.commit([CommitOffset(TOPIC, 0, 1)], source.group_metadata())
        except KafkaException as refusal:
            refusals.append(refusal)

    waiting = threading.Thread(target=commit, daemon=True)  # a commit that waits for ever must not keep the tests
    waiting.start()
    while not source._commits._waiting:
        time.sleep(0.01)
    source.close()
    waiting.join(PATIENCE_S)
    assert [refusal.args[0].name() for refusal in refusals] == ["_DESTROY"]
    with pytest.raises(KafkaException, match="_DESTROY"):
        source.commit([CommitOffset(TOPIC, 0, 1)], source.group_metadata())


def test_a_commit_begun_before_partitions_went_away_is_refused(source: KafkaSource) -> None:
    """The client would make it under its membership of now: for partitions that may be somebody else's."""
    poll_until(source, lambda: bool(source.owned))
    before = source.group_metadata()
    source._on_lost(source._consumer, [confluent_kafka.TopicPartition(TOPIC, 0)])
    with pytest.raises(KafkaException, match="ILLEGAL_GENERATION"):
        source.commit([CommitOffset(TOPIC, 0, 1)], before)


def test_a_close_tells_what_goes(cluster: MockCluster) -> None:
    told = Told()
    source = KafkaSource(settings_for(cluster), [TOPIC], told)
    poll_until(source, lambda: bool(source.owned))
    source.close()
    assert told.names == [f"assigned {TOPIC}/0", f"revoked {TOPIC}/0"]
    assert source.owned == frozenset()


def test_a_loss_is_told_and_is_no_revoke(cluster: MockCluster) -> None:
    told = Told()
    source = KafkaSource(settings_for(cluster), [TOPIC], told)
    poll_until(source, lambda: bool(source.owned))
    source._on_lost(source._consumer, [confluent_kafka.TopicPartition(TOPIC, 0)])
    assert told.names == [f"assigned {TOPIC}/0", f"lost {TOPIC}/0"]
    assert source.owned == frozenset()
    source.close()


def join_and_commit(cluster: MockCluster, told: Told, offset: int) -> None:
    source = KafkaSource(settings_for(cluster), [TOPIC], told)
    poll_until(source, lambda: bool(source.owned))
    source.commit([CommitOffset(TOPIC, 0, offset)], source.group_metadata())
    source.close()


def test_the_next_member_starts_at_the_offset_that_was_committed(cluster: MockCluster) -> None:
    told = Told()
    join_and_commit(cluster, told, 7)
    join_and_commit(cluster, told, 8)
    assert [start.offset for start in told.starts] == [0, 7]


def test_a_member_that_was_given_up_and_not_told_keeps_an_identity_that_is_refused(cluster: MockCluster) -> None:
    """The client's own is empty by then, and a transaction under an empty one is taken from anybody."""
    source = KafkaSource(settings_for(cluster, group_protocol="classic", session_timeout_s=1), [TOPIC], Nobody())
    poll_until(source, lambda: bool(source.owned))
    source.serve()
    member, before = source._consumer.memberid(), source.group_metadata()
    assert member
    cluster.answer(HEARTBEAT, *(20 * [KafkaError.UNKNOWN_MEMBER_ID]))
    end = time.monotonic() + PATIENCE_S
    while source._consumer.memberid() == member:
        assert time.monotonic() < end, "the client never noticed"
        time.sleep(0.02)
    source.serve()
    assert source.owned, "it was told"
    assert source.group_metadata() is before
    source.close()


def test_a_fenced_member_is_granted_no_newer_epoch_before_it_was_told(cluster: MockCluster) -> None:
    """With the consumer protocol its name stays, so only that keeps a commit for what it lost from passing."""
    told = Told()
    source = KafkaSource(settings_for(cluster), [TOPIC], told)
    poll_until(source, lambda: bool(source.at_end))
    before = source.group_metadata()
    cluster.answer(GROUP_HEARTBEAT, KafkaError.FENCED_MEMBER_EPOCH)
    heartbeats = cluster.count(GROUP_HEARTBEAT)
    while cluster.count(GROUP_HEARTBEAT) == heartbeats:
        time.sleep(0.01)
    heartbeats = cluster.count(GROUP_HEARTBEAT)
    end = time.monotonic() + 10 * HEARTBEAT_MS / 1000
    while time.monotonic() < end:
        source.serve()
        assert source.group_metadata() == before
        time.sleep(0.01)
    assert cluster.count(GROUP_HEARTBEAT) == heartbeats
    assert told.names == [f"assigned {TOPIC}/0"]
    poll_until(source, lambda: len(told.names) == 3)
    assert told.names[1:] == [f"lost {TOPIC}/0", f"assigned {TOPIC}/0"]
    assert source.group_metadata().metadata != before.metadata
    assert source.group_metadata().departures == before.departures + 1
    source.close()


def test_an_error_while_partitions_go_away_does_not_keep_the_source_from_closing(cluster: MockCluster) -> None:
    class Failing(Nobody):
        def revoked(self, partitions: Sequence[TopicPartition]) -> None:
            raise RuntimeError(f"{len(partitions)} are gone")

    source = KafkaSource(settings_for(cluster), [TOPIC], Failing())
    poll_until(source, lambda: bool(source.owned))
    with pytest.raises(RuntimeError, match="1 are gone"):
        source.close()
    assert source.owned == frozenset()
