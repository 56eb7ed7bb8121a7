"""A broker with a worker's source and sink on it: in memory, or the real one."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol, Self

import confluent_kafka
from confluent_kafka import Consumer, IsolationLevel, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
)
from confluent_kafka.cimpl import NewTopic

from streamproc.kafka.config import client_config
from streamproc.kafka.newest import NewestRecords
from streamproc.kafka.sink import IdempotentSink, TransactionalSink
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.settings import Settings
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.newest import BrokerNewest
from streamproc.testing.broker.sink import BrokerPlainSink, BrokerSink
from streamproc.testing.broker.source import BrokerSource
from streamproc.testing.broker.transactions import CHECK_S
from streamproc.testing.clock import ManualClock
from streamproc.worker.ports import Newest, Sink
from tests.owner import Owner

PARTITIONS = 2
SESSION_S = 3.0
HEARTBEAT_S = 0.5
"""A group changes hands in a few of these."""
LONG_S = 120.0
"""No machine is so slow that this passes unasked."""
PATIENCE_S = 90.0
_TURN_S = 0.001

AnySource = BrokerSource | KafkaSource
GroupProtocol = Literal["consumer", "classic"]


class Open(Protocol):
    """A transaction that stays open."""

    def end(self, *, commit: bool) -> None: ...


class World(Protocol):
    protocol: GroupProtocol
    topic: str
    results: str
    looks_every_s: float
    """How often the broker looks for transactions that took too long."""

    def now(self) -> float: ...

    def wait(self, seconds: float) -> None: ...

    def publish(self, count: int, partition: int = 0) -> None: ...

    def publish_in_transaction(self, count: int, *, commit: bool) -> None:
        """To partition 0."""

    def delete_before(self, partition: TopicPartition, offset: int) -> None: ...

    def visible(self) -> list[bytes | None]:
        """What is committed in the results topic."""

    def newest(self) -> Newest: ...

    def source(self, owner: Owner, max_poll_s: float = LONG_S) -> AnySource: ...

    def sink(self, slot: int, transaction_s: float = LONG_S) -> Sink: ...

    def plain_sink(self, source: AnySource) -> Sink: ...

    def hold(self, offset: CommitOffset, source: AnySource, transaction_s: float = LONG_S) -> Open:
        """Leave a transaction over an offset open, under an id of its own."""


class MemoryOpen:
    def __init__(self, broker: MemoryBroker, epoch: int) -> None:
        self._broker = broker
        self._epoch = epoch

    def end(self, *, commit: bool) -> None:
        self._broker.end_transaction("hold", self._epoch, commit=commit)


class MemoryWorld:
    topic = "in"
    results = "out"
    looks_every_s = CHECK_S

    def __init__(self, protocol: GroupProtocol) -> None:
        self.protocol = protocol
        self._clock = ManualClock()
        self._broker = MemoryBroker(self._clock, protocol=protocol, session_timeout_s=SESSION_S)
        for topic in (self.topic, self.results):
            self._broker.create_topic(topic, PARTITIONS)
        self._here = threading.get_ident()
        self.now = self._clock.monotonic

    def wait(self, seconds: float) -> None:
        if threading.get_ident() == self._here:
            self._clock.advance(seconds)
        else:
            time.sleep(_TURN_S)  # only one thread lets the made-up time pass

    def publish(self, count: int, partition: int = 0) -> None:
        for number in range(count):
            self._broker.append(self.topic, partition, None, b"%d" % number)

    def publish_in_transaction(self, count: int, *, commit: bool) -> None:
        epoch = self._broker.init_transactions("upstream", LONG_S)
        for number in range(count):
            self._broker.produce("upstream", epoch, self.topic, 0, None, b"%d" % number)
        self._broker.end_transaction("upstream", epoch, commit=commit)

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        self._broker.delete_records(partition, offset)

    def newest(self) -> Newest:
        return BrokerNewest(self._broker, lambda: None)

    def visible(self) -> list[bytes | None]:
        return [record.value for n in range(PARTITIONS) for record in self._broker.read(self.results, n)]

    def source(self, owner: Owner, max_poll_s: float = LONG_S) -> AnySource:
        return BrokerSource(
            self._broker,
            [self.topic],
            "group",
            owner,
            max_poll_interval_s=max_poll_s,
            sleep=self.wait,
            point=self._nothing_comes_between,
            start_budget_s=LONG_S + 15,
        )

    def sink(self, slot: int, transaction_s: float = LONG_S) -> Sink:
        sink = BrokerSink(
            self._broker,
            f"slot-{slot}",
            transaction_timeout_s=transaction_s,
            sleep=self.wait,
            point=self._nothing_comes_between,
        )
        sink.open()
        return sink

    def plain_sink(self, source: AnySource) -> Sink:
        assert isinstance(source, BrokerSource)
        return BrokerPlainSink(self._broker, source.commit, self.wait, self._nothing_comes_between)

    def hold(self, offset: CommitOffset, source: AnySource, transaction_s: float = LONG_S) -> Open:
        assert isinstance(source, BrokerSource)
        epoch = self._broker.init_transactions("hold", transaction_s)
        self._broker.send_offsets("hold", epoch, source.group_metadata(), [offset])
        return MemoryOpen(self._broker, epoch)

    @staticmethod
    def _nothing_comes_between(_name: str) -> None: ...


class KafkaOpen:
    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def end(self, *, commit: bool) -> None:
        (self._producer.commit_transaction if commit else self._producer.abort_transaction)(PATIENCE_S)


class KafkaWorld:
    looks_every_s = 1.0

    def __init__(self, servers: Settings, protocol: GroupProtocol) -> None:
        self.protocol = protocol
        self.topic = f"t-{uuid.uuid4().hex[:12]}"
        self.results = f"{self.topic}.out"
        self._sources: list[KafkaSource] = []
        kafka = servers.kafka.model_copy(
            update={
                "group": self.topic,
                "transactional_prefix": self.topic,
                "group_protocol": protocol,
                "transaction_timeout_s": LONG_S,
                "max_poll_interval_s": LONG_S,
                "session_timeout_s": SESSION_S,
            }
        )
        self._settings = servers.model_copy(update={"kafka": kafka})
        self._admin = AdminClient(client_config(self._settings))
        self._upstream = Producer(client_config(self._settings) | {"enable.idempotence": True})
        self.now = time.monotonic
        self.wait = time.sleep

    def __enter__(self) -> Self:
        for future in self._admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in self._topics]).values():
            future.result(PATIENCE_S)
        if self.protocol == "consumer":
            self._hurry()
        return self

    def _hurry(self) -> None:
        """Of this protocol's groups the broker says how fast they are."""
        times = {"consumer.session.timeout.ms": SESSION_S, "consumer.heartbeat.interval.ms": HEARTBEAT_S}
        entries = [
            ConfigEntry(name, str(round(1000 * seconds)), incremental_operation=AlterConfigOpType.SET)
            for name, seconds in times.items()
        ]
        group = ConfigResource(ConfigResource.Type.GROUP, self.topic, incremental_configs=entries)
        for future in self._admin.incremental_alter_configs([group]).values():
            future.result(PATIENCE_S)

    def __exit__(self, *_: object) -> None:
        for source in self._sources:
            source.close()
        for future in self._admin.delete_topics(self._topics).values():
            future.result(PATIENCE_S)

    @property
    def _topics(self) -> list[str]:
        return [self.topic, self.results]

    def publish(self, count: int, partition: int = 0) -> None:
        self._produce(self._upstream, count, partition)

    def publish_in_transaction(self, count: int, *, commit: bool) -> None:
        producer = self._transactional("upstream", LONG_S)
        self._produce(producer, count, 0)
        KafkaOpen(producer).end(commit=commit)
        # The end of a transaction is answered before each partition has its mark: what comes next has to come after it.
        late = time.monotonic() + PATIENCE_S
        while self._end(IsolationLevel.READ_COMMITTED) < self._end(IsolationLevel.READ_UNCOMMITTED):
            assert time.monotonic() < late, "the transaction's mark never came"
            time.sleep(0.01)

    def _end(self, isolation: IsolationLevel) -> int:
        asked = {confluent_kafka.TopicPartition(self.topic, 0): OffsetSpec.latest()}  # type: ignore[no-untyped-call]  # the client's own
        (answer,) = self._admin.list_offsets(asked, isolation_level=isolation).values()
        end: int = answer.result(PATIENCE_S).offset
        return end

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        position = confluent_kafka.TopicPartition(partition.topic, partition.partition, offset)
        for future in self._admin.delete_records([position]).values():
            future.result(PATIENCE_S)

    def newest(self) -> Newest:
        return NewestRecords(self._settings)

    def visible(self) -> list[bytes | None]:
        # Knows nothing of our code.
        names = [confluent_kafka.TopicPartition(self.results, n, 0) for n in range(PARTITIONS)]
        reader = Consumer(
            client_config(self._settings)
            | {
                "group.id": f"reader-{uuid.uuid4()}",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        reader.assign(names)
        values: list[bytes | None] = []
        ends = 0
        while ends < PARTITIONS:
            (message,) = reader.consume(1, PATIENCE_S)
            error = message.error()
            if error is None:
                values.append(message.value())
                continue
            assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF
            ends += 1
        reader.close()
        return values

    def source(self, owner: Owner, max_poll_s: float = LONG_S) -> AnySource:
        self._sources.append(KafkaSource(self._but(max_poll_interval_s=max_poll_s), [self.topic], owner))
        return self._sources[-1]

    def sink(self, slot: int, transaction_s: float = LONG_S) -> Sink:
        sink = TransactionalSink(self._but(transaction_timeout_s=transaction_s), slot)
        sink.open()
        return sink

    def plain_sink(self, source: AnySource) -> Sink:
        assert isinstance(source, KafkaSource)
        return IdempotentSink(self._settings, source.commit)

    def hold(self, offset: CommitOffset, source: AnySource, transaction_s: float = LONG_S) -> Open:
        assert isinstance(source, KafkaSource)
        producer = self._transactional("hold", transaction_s)
        position = confluent_kafka.TopicPartition(offset.topic, offset.partition, offset.offset, offset.metadata)
        producer.send_offsets_to_transaction([position], source.group_metadata().metadata, PATIENCE_S)
        return KafkaOpen(producer)

    def _but(self, **kafka: float) -> Settings:
        return self._settings.model_copy(update={"kafka": self._settings.kafka.model_copy(update=kafka)})

    def _transactional(self, name: str, transaction_s: float) -> Producer:
        producer = Producer(
            client_config(self._settings)
            | {
                "transactional.id": f"{self.topic}-{name}",
                "transaction.timeout.ms": round(1000 * transaction_s),
                "retry.backoff.ms": 5,
            }
        )
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        return producer

    def _produce(self, producer: Producer, count: int, partition: int) -> None:
        for number in range(count):
            producer.produce(self.topic, b"%d" % number, partition=partition)
        assert producer.flush(PATIENCE_S) == 0


def poll_until(
    world: World, sources: Sequence[AnySource], done: Callable[[list[Record]], bool], seconds: float = PATIENCE_S
) -> list[Record]:
    """Let the sources poll in turn; what they took."""
    taken: list[Record] = []
    end = world.now() + seconds
    while not done(taken):
        assert world.now() < end, f"{len(taken)} records after {seconds} s, trouble: {[s.trouble for s in sources]}"
        for source in sources:
            taken += source.poll(50, 0.1)
    return taken


def poll_for(world: World, sources: Sequence[AnySource], seconds: float) -> list[Record]:
    """Let the sources poll in turn for a while; what they took."""
    end = world.now() + seconds
    return poll_until(world, sources, lambda _: world.now() >= end)


def everything_read(*sources: AnySource) -> Callable[[list[Record]], bool]:
    """Whether these own everything and have read it to the end."""
    return lambda _: (
        sum(len(source.owned) for source in sources) == PARTITIONS
        and all(source.at_end == source.owned for source in sources)
    )


def worlds(protocol: GroupProtocol, servers: Settings | None) -> Iterator[World]:
    """The one in memory, or with servers the real one."""
    if servers is None:
        yield MemoryWorld(protocol)
        return
    with KafkaWorld(servers, protocol) as world:
        yield world
