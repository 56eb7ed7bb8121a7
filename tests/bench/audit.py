"""An audit of very many offsets, and lives among them: topics as workers would leave them, written straight.

``python -m tests.bench.audit --offsets 1000000`` on the servers that the settings lead to. What is written is cut
together from one encoded row: only the place and the result_id differ, as the audit reads them. One record of each
partition is retried on a lane. Beside both stands the least that the client takes for what they have to read: all of
these topics by a consumer that only counts bytes; the few records of a life from offsets that are known.
"""

import argparse
import json
import resource
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from streamproc.bench.machine import look
from streamproc.bench.show import machine_line
from streamproc.kafka.partitioner import partition_of
from streamproc.operate.audit.read import audit
from streamproc.operate.audit.window import Selection
from streamproc.operate.place import Place as At
from streamproc.operate.why.life import Life
from streamproc.operate.why.trace import open_tracer
from streamproc.records.ledger import Transaction, build_entry
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import TopicPartition as Place
from streamproc.settings import Settings, load_settings
from tests.integration.planted import World, own_topics, plant

SHARE = 42
"""Offsets of one ledger row: a micro-batch of 512 over 12 partitions."""
PARTITIONS = 12
ANSWER_S = 120
BATCH = 10_000
AUDIT_S, WHY_S = 60.0, 1.0
"""What a million offsets, and one life among a million, may take."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What something took."""

    seconds: float
    processor_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run."""

    offsets: int
    proved: bool
    audit: Spent
    grown_mib: float
    """The most that the process had, less what it had before the audit. After filling that is too much."""
    bytes_read: int
    """Of keys and values."""
    floor: Spent
    """A consumer that reads the same, and counts."""
    why: Mapping[str, Spent]
    why_floor: Spent
    """A new consumer that fetches the records of such a life from known places."""

    @property
    def well(self) -> bool:
        """Whether all is within its time."""
        return self.proved and self.audit.seconds < AUDIT_S and all(one.seconds < WHY_S for one in self.why.values())


class Writer:
    """Inputs, results and ledger as workers write them."""

    def __init__(self, settings: Settings, world: World) -> None:
        self.topics = settings.topics
        self.world = world
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka.bootstrap_servers, "linger.ms": 20, "enable.idempotence": True}
        )
        result = world.codec.encode(world.row(0, 0))
        tail = settings.topics.recordings.encode() + b"\x00\x00"
        assert result.endswith(tail)
        self._head, self._middle = result[:6], result[6 + 36 : -2]
        self._event = world.event(0, 0)
        self._keys = {partition_of(b"%d" % number, PARTITIONS): b"%d" % number for number in range(10 * PARTITIONS)}

    def done(self, partition: int, offset: int) -> tuple[int, Outcome]:
        """An input record and its result."""
        self.announce(partition)
        ident = str(uuid.UUID(int=partition << 64 | offset))
        value = self._head + ident.encode() + self._middle + zigzag(partition) + zigzag(offset)
        self._send(self.topics.results, value, partition, self._keys[partition])
        return offset, Outcome(OutcomeKind.RESULT, (), ident)

    def retried(self, partition: int, offset: int) -> tuple[int, Outcome]:
        """An input record that goes to the first lane."""
        self.announce(partition)
        outcome = self.world.retry(partition, offset)
        (moved,) = outcome.outputs
        self._producer.produce(moved.topic, moved.value, self._keys[partition], 0, headers=list(moved.headers))
        return offset, outcome

    def again(self, partition: int, offset: int, lane_offset: int) -> None:
        """What came of it then, by itself."""
        outcome = self.world.result(partition, offset, attempts=2)
        self._send(self.topics.results, outcome.outputs[0].value or b"", partition, self._keys[partition])
        self.tell(Place(self.topics.lanes[0], 0), [(lane_offset, outcome)])

    def announce(self, partition: int) -> None:
        """An input record."""
        self._send(self.topics.recordings, self._event, partition, self._keys[partition])

    def tell(self, source: Place, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        """The ledger row of a transaction."""
        now_ms = time.time_ns() // 1_000_000
        row = self.world.codec.encode(build_entry(Transaction("0", 1, len(outcomes), now_ms), source, outcomes))
        key = str(source).encode()
        self._send(self.topics.ledger, row, partition_of(key, PARTITIONS), key)

    def poll(self) -> None:
        """Let the client take back what it needs no more."""
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all is there."""
        assert self._producer.flush(ANSWER_S) == 0

    def _send(self, topic: str, value: bytes, partition: int, key: bytes) -> None:
        while True:
            try:
                return self._producer.produce(topic, value, key, partition)
            except BufferError:
                self._producer.poll(0.1)


def fill(settings: Settings, offsets: int, seconds: float) -> None:
    """Write inputs, lanes, results and ledger, and commit the group's offsets."""
    each = offsets // PARTITIONS
    began = time.monotonic()
    with plant(settings) as world:
        writer = Writer(settings, world)
        for first in range(0, each, SHARE):
            numbers = range(first, min(first + SHARE, each))
            for partition in range(PARTITIONS):
                outcomes = [
                    writer.retried(partition, offset) if offset == each // 2 else writer.done(partition, offset)
                    for offset in numbers
                ]
                writer.tell(Place(settings.topics.recordings, partition), outcomes)
            if each // 2 in numbers:
                writer.flush()
                for partition in range(PARTITIONS):
                    writer.again(partition, each // 2, partition)
            writer.poll()
            time.sleep(max(0.0, began + seconds * first / each - time.monotonic()))
        writer.flush()
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": settings.kafka.group})
    done = [TopicPartition(settings.topics.recordings, partition, each) for partition in range(PARTITIONS)]
    done.append(TopicPartition(settings.topics.lanes[0], 0, PARTITIONS))
    consumer.commit(offsets=done, asynchronous=False)
    consumer.close()


def zigzag(number: int) -> bytes:
    """A number of 0 or more in Avro."""
    number, out = number << 1, bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def bare(settings: Settings, wanted: Mapping[Place, range]) -> int:
    """Read these offsets, and count the bytes."""
    address = settings.kafka.bootstrap_servers
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(*place, stretch.start) for place, stretch in wanted.items()])
    left = sum(map(len, wanted.values()))
    count = 0
    while left:
        for message in consumer.consume(BATCH, 0.05):
            assert message.error() is None, message.error()
            if (message.offset() or 0) in wanted[Place(message.topic() or "", message.partition() or 0)]:
                count += len(message.value() or b"") + len(message.key() or b"")
                left -= 1
    consumer.close()
    return count


def written(settings: Settings) -> Mapping[Place, range]:
    """Everything that an audit of all of it reads."""
    topics = settings.topics
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": "bench"})
    found = {}
    for topic in (topics.recordings, topics.results, topics.ledger, topics.lanes[0]):
        for partition in consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)
            found[Place(topic, partition)] = range(low, high)
    consumer.close()
    return found


def timed(work: Callable[[], object]) -> Spent:
    """Do it once."""
    began, cpu = time.monotonic(), time.process_time()
    work()
    return Spent(time.monotonic() - began, time.process_time() - cpu)


def measure(settings: Settings, offsets: int) -> Figures:
    """Audit what was filled, tell some lives, and read the same."""
    reports, lives, counts = [], [], []
    before = psutil.Process().memory_info().rss / 1024**2
    audited = timed(lambda: reports.append(audit(settings, Selection(), lambda *_: None)))
    grown_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    each = offsets // PARTITIONS

    def life(offset: int) -> None:
        with open_tracer(settings) as tracer:
            lives.append(tracer.trace(At(Place(settings.topics.recordings, 5), offset)))

    names = {"the first": 0, "one before the middle": each // 2 - 1, "the retried": each // 2, "the last": each - 1}
    why = {name: timed(lambda offset=offset: life(offset)) for name, offset in names.items()}  # type: ignore[misc]  # a default binds it now
    everything = written(settings)
    floor = timed(lambda: counts.append(bare(settings, everything)))
    why_floor = timed(lambda: bare(settings, places(lives[1])))
    assert all(one.ended for one in lives)
    assert len(lives[2].tries) == 2
    return Figures(reports[0].records, reports[0].proved, audited, grown_mib, counts[0], floor, why, why_floor)


def places(life: Life) -> Mapping[Place, range]:
    """Where the records stand that tell a life."""
    (once,) = life.tries
    assert once.committed is not None
    assert once.outcome is not None
    found = (life.origin, once.committed.row_at, once.outcome.at)
    return {one.partition: range(one.offset, one.offset + 1) for one in found}


def show(figures: Figures) -> None:
    """For people."""
    read = figures.bytes_read / 1e6
    audited, floor = figures.audit, figures.floor
    print(  # noqa: T201  # it talks to whoever runs it
        f"audit: {figures.offsets:,} offsets, proved: {figures.proved}, {told(audited)}, {figures.grown_mib:.0f} MiB "
        f"more\nfloor: {read:.0f} MB by a consumer that counts, {told(floor)}: the audit takes "
        f"{audited.seconds / floor.seconds:.1f} times that, {audited.processor_s / floor.processor_s:.1f} of processor"
    )
    for name, spent in figures.why.items():
        ratio = spent.seconds / figures.why_floor.seconds
        print(f"why of {name}: {told(spent)}, {ratio:.1f} times its floor")  # noqa: T201  # the same
    print(f"floor of why: three records from known places, {told(figures.why_floor)}")  # noqa: T201  # the same
    late = "" if figures.well else ": MISSED"
    print(f"within {AUDIT_S:g} s, and {WHY_S:g} s for a life{late}")  # noqa: T201  # the same


def told(spent: Spent) -> str:
    """Both times."""
    return f"{spent.seconds:.2f} s ({spent.processor_s:.2f} of processor)"


def main() -> None:
    """Fill, or measure what was filled before under the same name; exit code 1 when it is too slow."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--offsets", type=int, default=1_000_000)
    options.add_argument("--seconds", type=float, default=0, help="how long to write at least, for `why`")
    options.add_argument("--again", metavar="NAME", help="measure the topics of an earlier run, which it named")
    options.add_argument("--json", action="store_true", help="the figures as one object")
    chosen = options.parse_args()
    machine = look(("confluent-kafka", "fastavro", "numpy"))
    name = chosen.again or uuid.uuid4().hex
    settings = own_topics(load_settings(), PARTITIONS, name)
    if not chosen.again:
        took = timed(lambda: fill(settings, chosen.offsets, chosen.seconds))
        print(f"written in {took.seconds:.1f} s; again with --again {name}", file=sys.stderr)  # noqa: T201  # the same
    figures = measure(settings, chosen.offsets)
    if chosen.json:
        told_all = {"bench": "audit", "machine": asdict(machine), **asdict(figures), "well": figures.well}
        print(json.dumps(told_all))  # noqa: T201  # the same
    else:
        print(machine_line(machine))  # noqa: T201  # the same
        show(figures)
    sys.exit(not figures.well)


if __name__ == "__main__":
    main()
