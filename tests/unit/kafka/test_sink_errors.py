"""What the sink makes of broker errors, on librdkafka's mock broker; codes are Kafka's."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from streamproc.errors import AbortedError, DependencyDownError, FatalError
from streamproc.kafka.config import consumer_config
from streamproc.kafka.membership import Membership
from streamproc.kafka.sink import IdempotentSink, TransactionalSink
from streamproc.records.record import CommitOffset, OutputRecord
from streamproc.settings import KafkaSettings, Settings
from tests.unit.kafka.mock_cluster import (
    ADD_PARTITIONS,
    END_TXN,
    PRODUCE,
    TXN_OFFSET_COMMIT,
    MockCluster,
    mock_cluster,
)

OUTPUT = OutputRecord("out", b"k", b"v")
OFFSET = CommitOffset("in", 0, 5)


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as cluster:
        cluster.create_topic(OUTPUT.topic)
        cluster.create_topic(OFFSET.topic)
        yield cluster


def settings_for(cluster: MockCluster, timeout_s: float = 50) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, transaction_timeout_s=timeout_s, group="g")
    )


@pytest.fixture
def metadata(cluster: MockCluster) -> Iterator[Membership]:
    consumer = Consumer(consumer_config(settings_for(cluster)))
    yield Membership(consumer.consumer_group_metadata(), 0)
    consumer.close()


@pytest.fixture
def sink(cluster: MockCluster) -> Iterator[TransactionalSink]:
    sink = TransactionalSink(settings_for(cluster), slot=0)
    sink.open()
    yield sink
    sink.close()


@pytest.mark.parametrize(
    ("api", "codes"),
    [
        pytest.param(PRODUCE, (6, 6, 7), id="leader moves, request times out"),
        pytest.param(END_TXN, (14, 15), id="coordinator loads"),
        pytest.param(TXN_OFFSET_COMMIT, (14, 16), id="group coordinator moves"),
    ],
)
def test_what_passes_is_waited_out(
    cluster: MockCluster, sink: TransactionalSink, metadata: object, api: int, codes: tuple[int, ...]
) -> None:
    cluster.answer(api, *codes)
    sink.commit([OUTPUT], [OFFSET], metadata)
    assert cluster.count(api) == len(codes) + 1


@pytest.mark.parametrize(
    ("api", "code"),
    [
        pytest.param(TXN_OFFSET_COMMIT, 22, id="illegal generation"),
        pytest.param(TXN_OFFSET_COMMIT, 25, id="unknown member"),
        pytest.param(TXN_OFFSET_COMMIT, 113, id="stale member epoch"),
    ],
)
def test_what_spoils_one_transaction_is_aborted_and_the_next_one_goes(
    cluster: MockCluster, sink: TransactionalSink, metadata: object, api: int, code: int
) -> None:
    cluster.answer(api, code)
    with pytest.raises(AbortedError):
        sink.commit([OUTPUT], [OFFSET], metadata)
    sink.commit([OUTPUT], [OFFSET], metadata)


class Outputs(list[OutputRecord]):
    """A list that a test can hold weakly."""


def test_a_transaction_that_failed_lets_go_of_what_was_in_it(
    cluster: MockCluster, sink: TransactionalSink, metadata: object
) -> None:
    """The client's errors keep what is being handled when they are raised; here each call after the first fails too."""
    outputs = Outputs([OUTPUT])
    kept = weakref.ref(outputs)
    cluster.answer(ADD_PARTITIONS, 7)
    with pytest.raises(AbortedError, match="REQUEST_TIMED_OUT"):
        sink.commit(outputs, [OFFSET], metadata)
    del outputs
    gc.collect()
    assert kept() is None


def test_an_output_that_will_never_fit_is_fatal_after_a_clean_abort(
    cluster: MockCluster, sink: TransactionalSink, metadata: object
) -> None:
    cluster.answer(PRODUCE, 10)
    with pytest.raises(FatalError, match="larger than its topic takes"):
        sink.commit([OUTPUT], [OFFSET], metadata)


def test_a_commit_without_an_answer_is_of_unknown_fate(cluster: MockCluster, metadata: object) -> None:
    def clock() -> float:
        """A transaction's time is over when its end is asked for, however fast or slow this machine is."""
        return time.monotonic() + 1000 * min(1, cluster.count(TXN_OFFSET_COMMIT))

    sink = TransactionalSink(settings_for(cluster), slot=0, clock=clock)
    sink.open()
    cluster.answer(END_TXN, *[14] * 1000)
    with pytest.raises(FatalError, match="unknown fate"):
        sink.commit([OUTPUT], [OFFSET], metadata)


def test_no_broker_at_the_start_is_a_dependency_down(cluster: MockCluster) -> None:
    cluster.set_down()
    sink = TransactionalSink(settings_for(cluster, timeout_s=1), slot=0)
    with pytest.raises(DependencyDownError):
        sink.open()


def test_a_broker_that_comes_back_in_time_is_enough(cluster: MockCluster, metadata: object) -> None:
    cluster.set_down()
    sink = TransactionalSink(settings_for(cluster), slot=0)
    back = threading.Timer(0.5, cluster.set_up)
    back.start()
    sink.open()
    back.join()
    sink.commit([OUTPUT], [OFFSET], metadata)
    assert cluster.count(PRODUCE) == 1


def test_at_least_once_commits_no_offset_for_a_refused_output(cluster: MockCluster) -> None:
    committed: list[object] = []
    sink = IdempotentSink(settings_for(cluster), lambda offsets, _membership: committed.append(offsets))
    sink.open()
    cluster.answer(PRODUCE, 29)
    with pytest.raises(FatalError, match="may not be written to its topic"):
        sink.commit([OUTPUT], [OFFSET], Membership(None, 0))
    assert committed == []


def test_at_least_once_commits_offsets_after_outputs(cluster: MockCluster) -> None:
    committed: list[object] = []
    sink = IdempotentSink(settings_for(cluster), lambda offsets, _membership: committed.append(offsets))
    sink.open()
    sink.commit([OUTPUT], [OFFSET], Membership(None, 0))
    assert committed == [[OFFSET]]


def test_at_least_once_hands_a_failed_offset_commit_back(cluster: MockCluster) -> None:
    def refuse(_offsets: object, _membership: object) -> None:
        raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))

    sink = IdempotentSink(settings_for(cluster), refuse)
    sink.open()
    with pytest.raises(AbortedError):
        sink.commit([OUTPUT], [OFFSET], Membership(None, 0))
