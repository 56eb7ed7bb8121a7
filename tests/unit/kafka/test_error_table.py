"""Every line of the table, on librdkafka's mock broker: each error is answered once, and its end compared."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

from streamproc.errors import AbortedError, Fatal, FatalError, FencedError
from streamproc.kafka.config import consumer_config
from streamproc.kafka.membership import Membership
from streamproc.kafka.sink import IdempotentSink, TransactionalSink
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import CommitOffset, OutputRecord
from streamproc.settings import KafkaSettings, Settings
from tests.unit.kafka.error_table import (
    ABORTED,
    AT_LEAST_ONCE,
    CLASSIC,
    CODES,
    CONSUMER,
    FATAL,
    FENCED,
    FIND_GROUP_COORDINATOR,
    FIND_TRANSACTION_COORDINATOR,
    GOES_ON,
    INIT_PRODUCER_ID,
    OFFSET_COMMIT,
    SOURCE,
    TRANSACTION,
    Api,
    End,
)
from tests.unit.kafka.mock_cluster import ADD_PARTITIONS, MockCluster, mock_cluster
from tests.unit.kafka.test_source_errors import Nobody

OUTPUT = OutputRecord("out", b"k", b"v")
OFFSET = CommitOffset("in", 0, 1)
PATIENCE_S = 90.0
THREADS = 32
TRIES = 3
"""A refused record leaves a gap in the sequence, which spoils the next transaction too."""
AT_ONCE_CODES = {api.name: [code for codes in api.ends for code in codes] for api in (*SOURCE, *CLASSIC, *CONSUMER)}

Ends = dict[int, End]


def settings_for(cluster: MockCluster, protocol: str = "consumer", session_s: float = 2) -> Settings:
    return Settings(
        kafka=KafkaSettings.model_validate(
            {
                "bootstrap_servers": cluster.bootstrap_servers,
                "transaction_timeout_s": 50,
                "group": "g",
                "group_protocol": protocol,
                "session_timeout_s": session_s,
            }
        )
    )


@contextmanager
def cluster_with_topics() -> Iterator[MockCluster]:
    with mock_cluster() as cluster:
        for topic in (OUTPUT.topic, OFFSET.topic):
            cluster.create_topic(topic)
        yield cluster


def end_of(call: Callable[[], object]) -> End:
    try:
        call()
    except AbortedError:
        return ABORTED
    except FencedError:
        return FENCED
    except FatalError:
        return FATAL
    return GOES_ON


def in_parallel(run: Callable[[Sequence[int]], Ends], codes: Sequence[int]) -> Ends:
    """Most of the time is librdkafka waiting before it asks again."""
    slices = [codes[start::THREADS] for start in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        return {code: end for ends in threads.map(run, filter(None, slices)) for code, end in ends.items()}


def expected(api: Api, codes: Sequence[int]) -> Ends:
    return {code: api.expect(code) for code in codes}


class Transactions:
    """A sink, made anew when the last one is of no more use, under a slot of its own."""

    def __init__(self, cluster: MockCluster) -> None:
        self._settings = settings_for(cluster)
        self._slots = iter(range(len(CODES) + 1))
        consumer = Consumer(consumer_config(self._settings))
        self._membership = Membership(consumer.consumer_group_metadata(), 0)
        consumer.close()
        self.sink = self._open()

    def renew(self) -> None:
        self.close()
        self.sink = self._open()

    def close(self) -> None:
        """Let go of the client: one that failed for good holds on to itself, and a worker would end."""
        with suppress(KafkaException, SystemError):  # it aborts first, which may fail in either way
            self.sink._producer.close()

    def _open(self) -> TransactionalSink:
        sink = TransactionalSink(self._settings, next(self._slots))
        sink.open()
        return sink

    def commit(self) -> End:
        return end_of(lambda: self.sink.commit([OUTPUT], [OFFSET], self._membership))

    def recovered(self) -> bool:
        return any(self.commit() is GOES_ON for _ in range(TRIES))


@pytest.mark.parametrize("api", TRANSACTION, ids=lambda api: api.name)
def test_errors_inside_a_transaction(api: Api) -> None:
    def run(codes: Sequence[int]) -> Ends:
        ends = {}
        with cluster_with_topics() as cluster, closing(Transactions(cluster)) as transactions:
            for code in codes:
                cluster.answer(api.key, code)
                ends[code] = transactions.commit()
                recovered = transactions.recovered()
                assert recovered or ends[code] is not ABORTED, f"{code}: aborted, but nothing goes after it"
                if not recovered:
                    transactions.renew()
        return ends

    assert in_parallel(run, CODES) == expected(api, CODES)


def test_errors_of_the_start() -> None:
    def run(codes: Sequence[int]) -> Ends:
        ends = {}
        with cluster_with_topics() as cluster:
            for slot, code in enumerate(codes):
                cluster.answer(INIT_PRODUCER_ID.key, code)
                ends[code] = end_of(TransactionalSink(settings_for(cluster), slot).open)
        return ends

    assert in_parallel(run, CODES) == expected(INIT_PRODUCER_ID, CODES)


def test_errors_of_the_search_for_coordinators() -> None:
    transactional = [code for codes in FIND_TRANSACTION_COORDINATOR.ends for code in codes]
    groups = [code for codes in FIND_GROUP_COORDINATOR.ends for code in codes]
    with cluster_with_topics() as cluster, closing(Transactions(cluster)) as transactions:
        of_id, of_group = {}, {}
        for code in transactional:
            cluster.answer(FIND_TRANSACTION_COORDINATOR.key, code)
            of_id[code] = end_of(transactions.renew)
        for code in groups:
            transactions.renew()
            cluster.answer(FIND_GROUP_COORDINATOR.key, code)
            of_group[code] = transactions.commit()
    assert of_id == expected(FIND_TRANSACTION_COORDINATOR, transactional)
    assert of_group == expected(FIND_GROUP_COORDINATOR, groups)


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        pytest.param(90, FencedError, Fatal.FENCED, id="fenced"),
        pytest.param(53, FatalError, Fatal.REFUSED, id="not allowed"),
        pytest.param(48, FatalError, Fatal.REFUSED, id="the broker knows of no transaction"),
    ],
)
def test_an_abort_that_fails_is_fatal(code: int, kind: type[FatalError], cause: Fatal) -> None:
    with cluster_with_topics() as cluster, closing(Transactions(cluster)) as transactions:
        cluster.answer(28, 22)  # the commit of offsets spoils the transaction,
        cluster.answer(26, code)  # and then its end is refused
        with pytest.raises(FatalError, match=r"could not be aborted after ILLEGAL_GENERATION") as caught:
            transactions.sink.commit([OUTPUT], [OFFSET], transactions._membership)
    assert type(caught.value) is kind
    assert caught.value.cause is cause


@pytest.mark.parametrize("api", TRANSACTION, ids=lambda api: api.name)
def test_an_error_that_nobody_knows_says_so(api: Api) -> None:
    with cluster_with_topics() as cluster, closing(Transactions(cluster)) as transactions:
        cluster.answer(api.key, CODES[-1])
        with pytest.raises(FatalError, match=rf"Err-{CODES[-1]}.*not in our table") as caught:
            transactions.sink.commit([OUTPUT], [OFFSET], transactions._membership)
    assert caught.value.cause is Fatal.UNFORESEEN


def test_what_failed_a_transaction_is_named_and_not_what_it_did_to_its_records() -> None:
    with cluster_with_topics() as cluster, closing(Transactions(cluster)) as transactions:
        cluster.answer(24, 29)
        with pytest.raises(FatalError, match=r"may not be written.*TOPIC_AUTHORIZATION_FAILED"):
            transactions.sink.commit([OUTPUT], [OFFSET], transactions._membership)


class Dawdling(Sequence[OutputRecord]):
    """Outputs of which the second is handed over when the first has failed."""

    def __init__(self, cluster: MockCluster) -> None:
        self._cluster = cluster

    def __len__(self) -> int:
        return 2

    def __getitem__(self, place: int) -> OutputRecord:  # type: ignore[override]  # nobody slices
        if place >= len(self):
            raise IndexError
        if place == 1:
            end = time.monotonic() + PATIENCE_S
            while not self._cluster.count(ADD_PARTITIONS):
                assert time.monotonic() < end
                time.sleep(0.01)
            time.sleep(0.5)  # until the client has the answer
        return OUTPUT


def test_what_failed_a_transaction_is_named_and_not_what_came_too_late_for_it() -> None:
    with cluster_with_topics() as cluster, closing(Transactions(cluster)) as transactions:
        cluster.answer(ADD_PARTITIONS, 29)
        with pytest.raises(FatalError, match=r"may not be written.*TOPIC_AUTHORIZATION_FAILED"):
            transactions.sink.commit(Dawdling(cluster), [OFFSET], transactions._membership)


def write_after(cluster: MockCluster, code: int) -> End:
    committed: list[object] = []
    sink = IdempotentSink(settings_for(cluster), lambda offsets, _: committed.append(offsets))
    sink.open()
    cluster.answer(AT_LEAST_ONCE.key, code)
    end = end_of(lambda: sink.commit([OUTPUT], [OFFSET], Membership(None, 0)))
    assert bool(committed) is (end is GOES_ON), f"{code}: offsets without their outputs"
    return end


def test_errors_of_outputs_at_least_once() -> None:
    def run(codes: Sequence[int]) -> Ends:
        ends = {}
        with cluster_with_topics() as cluster:
            for code in codes:
                ends[code] = write_after(cluster, code)
        return ends

    assert in_parallel(run, CODES) == expected(AT_LEAST_ONCE, CODES)


@contextmanager
def source_on(cluster: MockCluster, protocol: str, session_s: float = 2) -> Iterator[KafkaSource]:
    source = KafkaSource(settings_for(cluster, protocol, session_s), [OFFSET.topic], Nobody())
    try:
        yield source
    finally:
        source.close()


def publish(cluster: MockCluster) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    producer.produce(OFFSET.topic, b"v")
    assert producer.flush(PATIENCE_S) == 0


def poll_until(source: KafkaSource, done: Callable[[], bool]) -> int:
    taken, end = 0, time.monotonic() + PATIENCE_S
    while not (done() or taken):
        assert time.monotonic() < end, source.trouble
        taken += len(source.poll(10, 0.02))
    return taken


def read_after(api: Api, code: int, protocol: str) -> End:
    """Read a record where one kind of request is refused once: at the start, or, for what comes later, once it runs."""
    with cluster_with_topics() as cluster:
        later = api.name in {"Fetch", "Heartbeat"}
        if not later:
            cluster.answer(api.key, code)
        with source_on(cluster, protocol) as source:

            def read() -> None:
                if later:
                    poll_until(source, lambda: bool(source.at_end))
                    cluster.answer(api.key, code)
                    enough = cluster.count(api.key) + 2
                    poll_until(source, lambda: cluster.count(api.key) >= enough)
                publish(cluster)
                poll_until(source, lambda: False)

            return end_of(read)


@pytest.mark.parametrize(
    ("protocol", "api"),
    [
        pytest.param(protocol, api, id=f"{protocol} {api.name}")
        for protocol, apis in (("consumer", (*SOURCE, *CONSUMER)), ("classic", (*SOURCE, *CLASSIC)))
        for api in apis
    ],
)
def test_errors_of_the_source(protocol: str, api: Api) -> None:
    codes = AT_ONCE_CODES[api.name]

    def run(codes: Sequence[int]) -> Ends:
        return {code: read_after(api, code, protocol) for code in codes}

    assert in_parallel(run, codes) == expected(api, codes)


def test_a_refused_member_is_fatal_and_no_trouble_that_passes() -> None:
    with cluster_with_topics() as cluster:
        cluster.answer(CONSUMER[0].key, 30)
        with source_on(cluster, "consumer") as source:
            assert end_of(lambda: poll_until(source, lambda: source.trouble is not None)) is FATAL


def commit_beside_polling(source: KafkaSource, commit: Callable[[], None]) -> End:
    """As a worker does: the thread that commits is not the one that polls."""
    with ThreadPoolExecutor(1) as thread:
        end = thread.submit(end_of, commit)
        poll_until(source, end.done)
        return end.result()


@pytest.mark.parametrize("run_by", [commit_beside_polling, lambda _, commit: end_of(commit)], ids=["beside", "itself"])
@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_errors_of_offsets_at_least_once(
    protocol: str, run_by: Callable[[KafkaSource, Callable[[], None]], End]
) -> None:
    def commit_after(code: int) -> End:
        # A session that no busy machine outlasts: a member that is given up meanwhile is another story.
        with cluster_with_topics() as cluster, source_on(cluster, protocol, session_s=30) as source:
            poll_until(source, lambda: bool(source.at_end))
            sink = IdempotentSink(settings_for(cluster), source.commit)
            sink.open()
            cluster.answer(OFFSET_COMMIT.key, code)
            membership = source.group_metadata()
            return run_by(source, lambda: sink.commit([OUTPUT], [OFFSET], membership))

    codes = [code for codes in OFFSET_COMMIT.ends for code in codes]
    assert in_parallel(lambda codes: {code: commit_after(code) for code in codes}, codes) == expected(
        OFFSET_COMMIT, codes
    )


@pytest.mark.parametrize("code", [22, 25, 110])
def test_a_member_that_is_expelled_while_it_asks_where_to_start_joins_again(code: int) -> None:
    with cluster_with_topics() as cluster:
        publish(cluster)
        cluster.answer(9, code)
        with source_on(cluster, "consumer") as source:
            poll_until(source, lambda: bool(source._left))
            assert source.owned == frozenset()
            cluster.answer(68, 110)  # the group tells the member too
            assert poll_until(source, lambda: False) == 1
            assert source._left == set()


def test_partitions_that_are_neither_taken_nor_taken_back_are_fatal() -> None:
    now = 0.0
    with cluster_with_topics() as cluster:
        cluster.answer(9, 25)
        source = KafkaSource(settings_for(cluster), [OFFSET.topic], Nobody(), clock=lambda: now)
        poll_until(source, lambda: bool(source._left))
        now += source._start_budget_s + 1
        with pytest.raises(FatalError, match=r"nobody reads in/0"):
            poll_until(source, lambda: False)
        source.close()
