import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import confluent_kafka
import pytest
from confluent_kafka import Consumer, ConsumerGroupState, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from streamproc.errors import AbortedError, FatalError, FencedError
from streamproc.kafka.config import client_config
from streamproc.kafka.messages import UNREADABLE_HEADERS
from streamproc.kafka.sink import IdempotentSink, TransactionalSink
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import CommitOffset, OutputRecord, Record, TopicPartition
from streamproc.settings import Settings

pytestmark = pytest.mark.servers

PARTITIONS = 2
PATIENCE_S = 90.0


class Owner:
    """Remembers what the source told, as the worker would."""

    def __init__(self) -> None:
        self.starts: list[Mapping[TopicPartition, CommitOffset]] = []
        self.revokes: list[Sequence[TopicPartition]] = []
        self.losses: list[Sequence[TopicPartition]] = []

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        self.starts.append(starts)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.revokes.append(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.losses.append(partitions)

    def asked(self) -> None:
        """Each test serves by itself."""

    @property
    def owned(self) -> dict[TopicPartition, CommitOffset]:
        return {name: start for starts in self.starts for name, start in starts.items()}


@pytest.fixture(params=["consumer", "classic"])
def settings(servers: Settings, request: pytest.FixtureRequest) -> Settings:
    name = f"t-{uuid.uuid4().hex[:12]}"
    kafka = servers.kafka.model_copy(
        update={
            "group": name,
            "transactional_prefix": name,
            "group_protocol": request.param,
            "transaction_timeout_s": 60,
        }
    )
    topics = servers.topics.model_copy(update={"recordings": name, "results": f"{name}.out"})
    return servers.model_copy(update={"kafka": kafka, "topics": topics})


@pytest.fixture
def source_topic(settings: Settings) -> Iterator[str]:
    admin = AdminClient(client_config(settings))
    names = [settings.topics.recordings, settings.topics.results]
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result(PATIENCE_S)
    yield names[0]
    for future in admin.delete_topics(names).values():
        future.result(PATIENCE_S)


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def open_source(settings: Settings, source_topic: str) -> Iterator[Callable[[Owner], KafkaSource]]:
    sources: list[KafkaSource] = []

    def opened(owner: Owner) -> KafkaSource:
        sources.append(KafkaSource(settings, [source_topic], owner))
        return sources[-1]

    yield opened
    for source in sources:
        source.close()


def publish(settings: Settings, topic: str, count: int, start: int = 0) -> None:
    producer = Producer(client_config(settings) | {"enable.idempotence": True})
    for number in range(start, start + count):
        producer.produce(topic, b"%d" % number, partition=number % PARTITIONS)
    assert producer.flush(PATIENCE_S) == 0


def delete_before(settings: Settings, name: TopicPartition, offset: int) -> None:
    admin = AdminClient(client_config(settings))
    position = confluent_kafka.TopicPartition(name.topic, name.partition, offset)
    for future in admin.delete_records([position]).values():
        future.result(PATIENCE_S)


def poll_until(source: KafkaSource, done: Callable[[list[Record]], bool], most: int = 50) -> list[Record]:
    taken: list[Record] = []
    end = time.monotonic() + PATIENCE_S
    while not done(taken):
        assert time.monotonic() < end, f"{len(taken)} records after {PATIENCE_S} s, trouble: {source.trouble}"
        taken += source.poll(most, 0.1)
    return taken


def committed_values(settings: Settings, topic: str) -> Counter[bytes | None]:
    """What a read_committed reader of the whole topic sees; it knows nothing of our code."""
    reader = Consumer(
        client_config(settings)
        | {
            "group.id": f"reader-{uuid.uuid4()}",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    reader.assign([confluent_kafka.TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    seen: Counter[bytes | None] = Counter()
    ends = 0
    while ends < PARTITIONS:
        (message,) = reader.consume(1, PATIENCE_S)
        if (error := message.error()) is None:
            seen[message.value()] += 1
        else:
            assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF
            ends += 1
    reader.close()
    return seen


def is_stable(settings: Settings, members: int) -> bool:
    admin = AdminClient(client_config(settings))
    (future,) = admin.describe_consumer_groups([settings.kafka.group]).values()
    group = future.result(PATIENCE_S)
    return len(group.members) == members and group.state is ConsumerGroupState.STABLE


def next_offsets(records: Sequence[Record], metadata: str = "") -> list[CommitOffset]:
    last = {record.source: record.offset + 1 for record in records}
    return [CommitOffset(name.topic, name.partition, offset, metadata) for name, offset in last.items()]


def copies(settings: Settings, records: Sequence[Record]) -> list[OutputRecord]:
    return [OutputRecord(settings.topics.results, record.key, record.value, record.headers) for record in records]


def everything_at_end(source: KafkaSource) -> Callable[[list[Record]], bool]:
    return lambda _: len(source.owned) == PARTITIONS and source.at_end == source.owned


def test_records_are_copied_exactly_once_with_an_abort_in_the_middle_and_a_restart(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    publish(settings, source_topic, 100)
    sink = TransactionalSink(settings, slot=0)
    sink.open()
    source = open_source(owner)
    taken = poll_until(source, lambda taken: len(taken) >= 40, most=20)
    first, second = taken[:20], taken[20:]
    sink.commit(copies(settings, first), next_offsets(first), source.group_metadata())

    too_large = OutputRecord(settings.topics.results, None, b"x" * 2_000_000)
    with pytest.raises(FatalError, match="larger than its topic takes"):
        sink.commit([*copies(settings, second), too_large], next_offsets(second), source.group_metadata())
    sink.commit(copies(settings, second), next_offsets(second), source.group_metadata())

    source.close()
    sink.close()
    successor = TransactionalSink(settings, slot=0)
    successor.open()
    after = Owner()
    source = open_source(after)
    rest = poll_until(source, everything_at_end(source))
    successor.commit(copies(settings, rest), next_offsets(rest), source.group_metadata())
    assert committed_values(settings, settings.topics.results) == Counter(b"%d" % n for n in range(100))


def test_an_aborted_transaction_shows_nothing_and_may_be_produced_again(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    publish(settings, source_topic, 10)
    source = open_source(owner)
    taken = poll_until(source, everything_at_end(source))
    stale = source.group_metadata()
    source.close()  # the member is gone: its generation can commit nothing
    sink = TransactionalSink(settings, slot=0)
    sink.open()
    with pytest.raises(AbortedError):
        sink.commit(copies(settings, taken), next_offsets(taken), stale)
    assert committed_values(settings, settings.topics.results) == Counter()

    successor = open_source(Owner())
    taken = poll_until(successor, everything_at_end(successor))
    sink.commit(copies(settings, taken), next_offsets(taken), successor.group_metadata())
    assert committed_values(settings, settings.topics.results) == Counter(b"%d" % n for n in range(10))


def test_metadata_travels_with_offsets_and_a_new_group_starts_at_the_first_record_still_there(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    publish(settings, source_topic, 20)
    delete_before(settings, TopicPartition(source_topic, 1), 4)
    source = open_source(owner)
    taken = poll_until(source, everything_at_end(source))
    first, second = TopicPartition(source_topic, 0), TopicPartition(source_topic, 1)
    assert owner.owned == {
        first: CommitOffset(source_topic, 0, 0, ""),
        second: CommitOffset(source_topic, 1, 4, ""),
    }
    assert len(taken) == 16

    sink = TransactionalSink(settings, slot=0)
    sink.open()
    sink.commit([], [CommitOffset(source_topic, 0, 7, '{"open":9}')], source.group_metadata())
    source.close()
    after = Owner()
    source = open_source(after)
    taken = poll_until(source, everything_at_end(source))
    assert after.owned[first] == CommitOffset(source_topic, 0, 7, '{"open":9}')
    assert min(record.offset for record in taken if record.partition == 0) == 7
    assert owner.revokes
    assert not owner.losses


def test_an_offset_that_is_not_there_is_fatal_and_says_what_was_lost(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    publish(settings, source_topic, 20)
    source = open_source(owner)
    poll_until(source, everything_at_end(source))
    source.commit([CommitOffset(source_topic, 0, 2)], source.group_metadata())
    source.close()
    delete_before(settings, TopicPartition(source_topic, 0), 5)
    again = open_source(Owner())
    with pytest.raises(FatalError, match=rf"{source_topic}/0 was to be read from offset 2.*first record is now 5"):
        poll_until(again, lambda _: False)


def test_a_second_producer_of_the_same_slot_fences_the_first(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    publish(settings, source_topic, 4)
    source = open_source(owner)
    taken = poll_until(source, everything_at_end(source))
    first, second = TransactionalSink(settings, slot=3), TransactionalSink(settings, slot=3)
    first.open()
    second.open()
    with pytest.raises(FencedError):
        first.commit(copies(settings, taken), next_offsets(taken), source.group_metadata())
    second.commit(copies(settings, taken), next_offsets(taken), source.group_metadata())
    assert committed_values(settings, settings.topics.results) == Counter(b"%d" % n for n in range(4))


def test_a_successor_waits_for_the_offsets_of_an_open_transaction(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    """Of another slot, so nobody fences it: starting at the older offset would do its records twice."""
    publish(settings, source_topic, 10)
    source = open_source(owner)
    poll_until(source, everything_at_end(source))
    short = settings.kafka.model_copy(update={"transaction_timeout_s": 5})
    hanging = TransactionalSink(settings.model_copy(update={"kafka": short}), slot=1)
    hanging.open()
    hanging._producer.begin_transaction()
    hanging._producer.send_offsets_to_transaction(
        [confluent_kafka.TopicPartition(source_topic, 0, 5)], source.group_metadata().metadata, PATIENCE_S
    )
    source.close()
    after = Owner()
    successor = open_source(after)
    # Some poll waits in the assignment until the broker has given the transaction up.
    poll_until(successor, everything_at_end(successor))
    assert after.owned[TopicPartition(source_topic, 0)].offset == 0
    with pytest.raises(confluent_kafka.KafkaException):
        hanging._producer.commit_transaction(PATIENCE_S)


def test_partitions_move_to_a_second_member_and_paused_ones_stay_paused(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    source = open_source(owner)
    poll_until(source, lambda _: len(source.owned) == PARTITIONS)
    held = frozenset({TopicPartition(source_topic, 0), TopicPartition(source_topic, 1)})
    source.pause(held)
    other_owner = Owner()
    other = open_source(other_owner)
    end = time.monotonic() + PATIENCE_S
    while not (len(source.owned) == 1 and len(other.owned) == 1):
        assert time.monotonic() < end
        source.poll(10, 0.1)
        other.poll(10, 0.1)
    other.close()
    poll_until(source, lambda _: len(source.owned) == PARTITIONS)
    publish(settings, source_topic, 10)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert source.poll(10, 0.1) == []
    source.pause(frozenset())
    taken = poll_until(source, lambda taken: len(taken) == 10)
    assert Counter(record.value for record in taken) == Counter(b"%d" % n for n in range(10))
    assert owner.revokes
    assert other_owner.revokes


def test_partitions_that_a_topic_is_given_are_read_from_their_first_record(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    source = open_source(owner)
    poll_until(source, everything_at_end(source))
    added = [TopicPartition(source_topic, PARTITIONS + number) for number in range(2)]
    admin = AdminClient(client_config(settings))
    more = NewPartitions(source_topic, PARTITIONS + len(added))
    admin.create_partitions([more])[source_topic].result(PATIENCE_S)
    producer = Producer(client_config(settings))
    for one in added:
        producer.produce(one.topic, b"new", partition=one.partition)
    assert producer.flush(PATIENCE_S) == 0
    taken = poll_until(source, lambda taken: len(taken) == len(added))
    assert {(one.source, one.offset, one.value) for one in taken} == {(one, 0, b"new") for one in added}
    assert {one: owner.owned[one].offset for one in added} == dict.fromkeys(added, 0)


@pytest.mark.parametrize("settings", ["classic"], indirect=True)
def test_a_member_that_is_kept_from_polling_can_commit_once_the_group_took_another_in(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    """Back-pressure or a revoke keeps it, and serves the commits meanwhile; the group's generation goes on."""
    publish(settings, source_topic, 4)
    source = open_source(owner)
    taken = poll_until(source, everything_at_end(source))
    other = open_source(Owner())
    poll_until(other, lambda _: is_stable(settings, members=2))
    sink = TransactionalSink(settings, slot=6)
    sink.open()
    source.serve()
    sink.commit(copies(settings, taken), next_offsets(taken), source.group_metadata())
    assert committed_values(settings, settings.topics.results) == Counter(b"%d" % n for n in range(4))


def test_a_member_that_the_group_gave_up_commits_nothing_before_it_knows(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    """An empty identity would be taken by the broker as that of somebody who is in no group, and may do anything."""
    publish(settings, source_topic, 4)
    hasty = settings.kafka.model_copy(update={"max_poll_interval_s": 8})
    source = KafkaSource(settings.model_copy(update={"kafka": hasty}), [source_topic], owner)
    taken = poll_until(source, everything_at_end(source))
    other = open_source(Owner())
    sink = TransactionalSink(settings, slot=7)
    sink.open()
    # The client leaves the group by itself when nobody polls.
    poll_until(other, lambda _: len(other.owned) == PARTITIONS)
    source.serve()
    with pytest.raises(AbortedError):
        sink.commit(copies(settings, taken), next_offsets(taken), source.group_metadata())
    assert not committed_values(settings, settings.topics.results)
    source.close()


def test_a_record_arrives_byte_for_byte(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    headers: tuple[tuple[str, bytes | None], ...] = (("a", None), ("a", b""), ("é", b"\xff"))
    producer = Producer(client_config(settings))
    producer.produce(source_topic, None, b"\xff\x00", 0, timestamp=1234, headers=[*headers])
    producer.produce(source_topic, b"", None, 0)
    producer.flush(PATIENCE_S)
    source = open_source(owner)
    first, second = poll_until(source, lambda taken: len(taken) == 2)
    assert first == Record(source_topic, 0, 0, 1234, b"\xff\x00", None, headers)
    assert (second.key, second.value, second.headers) == (None, b"", ())
    assert UNREADABLE_HEADERS not in {name for name, _ in first.headers}

    sink = TransactionalSink(settings, slot=0)
    sink.open()
    sink.commit(copies(settings, [first]), next_offsets([first]), source.group_metadata())
    assert committed_values(settings, settings.topics.results) == Counter([None])


def test_at_least_once_writes_outputs_then_offsets(
    settings: Settings, source_topic: str, open_source: Callable[[Owner], KafkaSource], owner: Owner
) -> None:
    publish(settings, source_topic, 10)
    source = open_source(owner)
    taken = poll_until(source, everything_at_end(source))
    sink = IdempotentSink(settings, source.commit)
    sink.open()
    sink.commit(copies(settings, taken), next_offsets(taken, "m"), source.group_metadata())
    source.close()
    after = Owner()
    again = open_source(after)
    assert poll_until(again, everything_at_end(again)) == []
    assert {start.metadata for start in after.owned.values()} == {"m"}
    assert committed_values(settings, settings.topics.results) == Counter(b"%d" % n for n in range(10))
