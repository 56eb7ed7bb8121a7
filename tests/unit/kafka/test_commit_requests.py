"""Commits at least once while nobody answers them, on librdkafka's mock broker."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import cast

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException

from streamproc.errors import AbortedError
from streamproc.kafka.commit_requests import CommitRequests
from streamproc.kafka.sink import IdempotentSink
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import CommitOffset, OutputRecord, TopicPartition
from streamproc.settings import KafkaSettings, Settings
from tests.beside import beside
from tests.unit.kafka.mock_cluster import OFFSET_COMMIT, OFFSET_FETCH, MockCluster, mock_cluster

TOPIC = "in"
PATIENCE_S = 45.0
BUDGET_S = 1.0
"""Of a revoke."""
BLOCKED_S = 10.0
"""The client would wait for 45 s or more; a busy machine takes some of these."""


class Owner:
    """Whose revoke takes what ``on_revoke`` takes."""

    def __init__(self) -> None:
        self.on_revoke: Callable[[], None] = lambda: None
        self.revoked_in_s: float | None = None

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """Not of interest here."""

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        began = time.monotonic()
        self.on_revoke()
        assert partitions
        self.revoked_in_s = time.monotonic() - began

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Not of interest here."""

    def asked(self) -> None:
        """Each test serves by itself."""


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as cluster:
        for topic in (TOPIC, "out"):
            cluster.create_topic(topic)
        yield cluster


@pytest.fixture
def owner() -> Owner:
    return Owner()


def settings_for(cluster: MockCluster, timeout_s: float = 50) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, transaction_timeout_s=timeout_s, group="g")
    )


@pytest.fixture
def source(cluster: MockCluster, owner: Owner) -> Iterator[KafkaSource]:
    yield from opened(cluster, owner, 50)


@pytest.fixture
def hasty(cluster: MockCluster, owner: Owner) -> Iterator[KafkaSource]:
    """A source that gives a commit one second."""
    yield from opened(cluster, owner, 1)


def opened(cluster: MockCluster, owner: Owner, timeout_s: float) -> Iterator[KafkaSource]:
    source = KafkaSource(settings_for(cluster, timeout_s), [TOPIC], owner)
    poll_until(source, lambda: bool(source.at_end))
    yield source
    source.close()


def poll_until(source: KafkaSource, done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, source.trouble
        source.poll(10, 0.02)


def commit(source: KafkaSource, offset: int, *partitions: int) -> Future[None]:
    """Ask for a commit as a worker does, from another thread; asked, not yet sent. Of partition 0 unless told."""
    membership = source.group_metadata()
    offsets = [CommitOffset(TOPIC, partition, offset) for partition in partitions or (0,)]
    answer = beside(lambda: source.commit(offsets, membership))
    while not source._commits._waiting:
        assert not answer.done()
        time.sleep(0.001)
    return answer


def serve_until(source: KafkaSource, done: Callable[[], bool], seconds: float) -> None:
    """What a revoke does while it waits."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        source.serve()


def test_a_commit_is_answered_while_the_source_is_polled(cluster: MockCluster, source: KafkaSource) -> None:
    answer = commit(source, 5)
    poll_until(source, answer.done)
    answer.result()
    assert cluster.count(OFFSET_COMMIT) == 1


@pytest.mark.parametrize("where", ["in a revoke", "without room"])
def test_a_commit_is_answered_where_nobody_polls(
    cluster: MockCluster, source: KafkaSource, owner: Owner, where: str
) -> None:
    answer = commit(source, 5)

    def wait() -> None:
        serve_until(source, answer.done, PATIENCE_S)

    if where == "in a revoke":
        owner.on_revoke = wait
        source.close()
    else:
        wait()
    answer.result(0)
    assert cluster.count(OFFSET_COMMIT) == 1


def test_a_commit_that_did_not_arrive_is_not_seen_as_made(cluster: MockCluster, source: KafkaSource) -> None:
    cluster.answer(OFFSET_COMMIT, 28)
    answer = commit(source, 5)
    serve_until(source, answer.done, BUDGET_S)
    assert not answer.done()
    poll_until(source, answer.done)
    assert answer.exception() is not None


def test_a_stale_epoch_does_not_end_a_commit_that_is_looked_for(cluster: MockCluster, source: KafkaSource) -> None:
    """The client brings it up to date by itself, and the commit may have arrived."""
    cluster.answer(OFFSET_FETCH, 113)
    answer = commit(source, 5)
    serve_until(source, answer.done, PATIENCE_S)
    answer.result(0)
    assert cluster.count(OFFSET_FETCH) > 1


def test_a_commit_that_is_refused_for_one_partition_alone_was_not_made(source: KafkaSource) -> None:
    answer = commit(source, 5, 0, 7)  # there is no partition 7
    poll_until(source, answer.done)
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC_OR_PART"):
        answer.result()


@dataclass(frozen=True)
class Position:
    """A partition in the client's answer, which nobody but the client can make with an error."""

    partition: int
    error: KafkaError | None
    topic: str = TOPIC
    offset: int = 5
    metadata: str = ""


class Mute:
    """A client that takes commits."""

    def commit(self, **_: object) -> None:
        """Nothing is said to it yet."""


def test_an_error_of_one_partition_alone_is_that_of_the_commit() -> None:
    """The client's interface allows it; librdkafka 2.16 tells such an error of the whole as well (the test above)."""
    requests = CommitRequests(PATIENCE_S, time.monotonic)
    answer = requests.ask([CommitOffset(TOPIC, partition, 5) for partition in (0, 1)], 0)
    requests.send(cast("confluent_kafka.Consumer", Mute()), 0)
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    positions = [Position(0, None), Position(1, refused)]
    requests.answered(None, cast("list[confluent_kafka.TopicPartition]", positions))
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        answer.result(0)


def test_a_commit_that_waits_while_partitions_go_away_is_refused(cluster: MockCluster, source: KafkaSource) -> None:
    """The client would make it under its membership of then: for partitions that may be somebody else's."""
    answer = commit(source, 5)
    source._on_lost(source._consumer, [confluent_kafka.TopicPartition(TOPIC, 0)])
    poll_until(source, answer.done)
    with pytest.raises(KafkaException, match="ILLEGAL_GENERATION"):
        answer.result()
    assert cluster.count(OFFSET_COMMIT) == 0


def test_polling_goes_on_while_a_commit_has_no_answer_which_is_a_time_out_in_the_end(
    cluster: MockCluster, hasty: KafkaSource
) -> None:
    answer = commit(hasty, 5)
    cluster.hush()
    longest = 0.0
    end = time.monotonic() + PATIENCE_S
    while not answer.done():
        began = time.monotonic()
        assert began < end
        hasty.poll(10, 0.02)
        longest = max(longest, time.monotonic() - began)
    assert longest < BLOCKED_S
    with pytest.raises(KafkaException, match=r"_TIMED_OUT.*may have happened"):
        answer.result()


def test_a_commit_without_an_answer_is_to_be_done_again(cluster: MockCluster, hasty: KafkaSource) -> None:
    sink = IdempotentSink(settings_for(cluster), hasty.commit)
    sink.open()
    cluster.answer_late(OFFSET_COMMIT, 0, PATIENCE_S)
    membership = hasty.group_metadata()
    answer = beside(lambda: sink.commit([OutputRecord("out", b"k", b"v")], [CommitOffset(TOPIC, 0, 1)], membership))
    poll_until(hasty, answer.done)
    with pytest.raises(AbortedError, match="no answer in 1 s") as aborted:
        answer.result()
    assert aborted.value.waited


def test_a_revoke_keeps_its_budget_while_a_commit_has_no_answer(cluster: MockCluster, owner: Owner) -> None:
    source = KafkaSource(settings_for(cluster), [TOPIC], owner)
    poll_until(source, lambda: bool(source.at_end))
    answer = commit(source, 5)
    cluster.hush()
    owner.on_revoke = lambda: serve_until(source, answer.done, BUDGET_S)
    beside(source.close).result(2 * BLOCKED_S)
    assert owner.revoked_in_s is not None
    assert BUDGET_S < owner.revoked_in_s < BLOCKED_S
    with pytest.raises(KafkaException, match="_DESTROY"):
        answer.result()


def test_a_group_that_gave_the_member_up_refuses_its_commit_also_where_nobody_polls(
    cluster: MockCluster, source: KafkaSource
) -> None:
    answer = commit(source, 5)
    cluster.answer(OFFSET_COMMIT, 25)
    cluster.answer(OFFSET_FETCH, 25)
    serve_until(source, answer.done, BLOCKED_S)
    with pytest.raises(KafkaException, match="UNKNOWN_MEMBER_ID"):
        answer.result(0)


def test_the_answer_to_a_commit_that_was_given_up_is_not_taken_for_the_next_ones(
    cluster: MockCluster, source: KafkaSource
) -> None:
    # Before the client loses patience with its heartbeats, after 1 s, and connects anew.
    cluster.answer_late(OFFSET_COMMIT, 28, 0.7)
    source._commits._timeout_s = 0.2
    first = commit(source, 5)
    poll_until(source, first.done)
    with pytest.raises(KafkaException, match="_TIMED_OUT"):
        first.result()
    source._commits._timeout_s = PATIENCE_S
    second = commit(source, 6)
    poll_until(source, second.done)
    second.result()


def test_a_refusal_is_that_of_the_broker(cluster: MockCluster, source: KafkaSource) -> None:
    cluster.answer(OFFSET_COMMIT, 30)
    answer = commit(source, 5)
    poll_until(source, answer.done)
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        answer.result()


def test_one_commit_is_on_its_way_at_a_time(cluster: MockCluster, source: KafkaSource) -> None:
    membership = source.group_metadata()
    asked = [[CommitOffset(TOPIC, 0, offset)] for offset in (1, 2, 3)]
    answers = [beside(partial(source.commit, offsets, membership)) for offsets in asked]
    poll_until(source, lambda: all(answer.done() for answer in answers))
    assert [answer.exception() for answer in answers] == [None, None, None]
    assert cluster.count(OFFSET_COMMIT) == 3
