"""An audit of very many offsets: topics as workers would leave them, written straight, then proved once.

``python -m tests.bench.audit --offsets 1000000`` on the servers that the settings lead to. What is written is cut
together from one encoded row: only the place and the result_id differ, as the audit reads them.
"""

import argparse
import resource
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition

from streamproc.kafka.own_schemas import look_up_outputs
from streamproc.kafka.partitioner import partition_of
from streamproc.kafka.registry import connect
from streamproc.operate.audit.read import audit
from streamproc.operate.audit.window import Selection
from streamproc.operate.place import Place as At
from streamproc.operate.why.trace import open_tracer
from streamproc.records.ledger import Transaction, build_entry
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import TopicPartition as Place
from streamproc.settings import Settings, load_settings
from tests.integration.planted import own_topics, plant

SHARE = 42
"""Offsets of one ledger row: a micro-batch of 512 over 12 partitions."""
PARTITIONS = 12
ANSWER_S = 120


def fill(settings: Settings, offsets: int, seconds: float) -> None:
    """Write inputs, results and ledger, and commit the group's offsets."""
    each = offsets // PARTITIONS
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "linger.ms": 20, "enable.idempotence": True}
    )
    with plant(settings) as world:
        event = world.event(0, 0)
        result = world.codec.encode(world.row(0, 0))
    tail = settings.topics.recordings.encode() + b"\x00\x00"
    assert result.endswith(tail)
    head, middle = result[:6], result[6 + 36 : -2]

    def send(topic: str, value: bytes, partition: int, key: bytes) -> None:
        while True:
            try:
                return producer.produce(topic, value, key, partition)
            except BufferError:
                producer.poll(0.1)

    keys = {partition_of(b"%d" % number, PARTITIONS): b"%d" % number for number in range(10 * PARTITIONS)}
    with connect(settings.registry) as registry:
        codec = look_up_outputs(registry, settings.topics)
    began = time.monotonic()
    for first in range(0, each, SHARE):
        numbers = range(first, min(first + SHARE, each))
        now_ms = time.time_ns() // 1_000_000
        for partition in range(PARTITIONS):
            outcomes = []
            for offset in numbers:
                ident = str(uuid.UUID(int=partition << 64 | offset))
                send(settings.topics.recordings, event, partition, keys[partition])
                value = head + ident.encode() + middle + zigzag(partition) + zigzag(offset)
                send(settings.topics.results, value, partition, keys[partition])
                outcomes.append((offset, Outcome(OutcomeKind.RESULT, (), ident)))
            place = Place(settings.topics.recordings, partition)
            row = codec.encode(build_entry(Transaction("0", 1, len(outcomes), now_ms), place, outcomes))
            send(settings.topics.ledger, row, partition_of(str(place).encode(), PARTITIONS), str(place).encode())
        producer.poll(0)
        time.sleep(max(0.0, began + seconds * first / each - time.monotonic()))
    assert producer.flush(ANSWER_S) == 0
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": settings.kafka.group})
    done = [TopicPartition(settings.topics.recordings, partition, each) for partition in range(PARTITIONS)]
    consumer.commit(offsets=done, asynchronous=False)
    consumer.close()


def zigzag(number: int) -> bytes:
    """A number of 0 or more in Avro."""
    number, out = number << 1, bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def main() -> None:
    """Fill, or audit what was filled before under the same name."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--offsets", type=int, default=1_000_000)
    options.add_argument("--seconds", type=float, default=0, help="how long to write at least, for `why`")
    options.add_argument("--again", metavar="NAME", help="audit the topics of an earlier run, which it named")
    chosen = options.parse_args()
    name = chosen.again or uuid.uuid4().hex
    settings = own_topics(load_settings(), PARTITIONS, name)
    if not chosen.again:
        began = time.monotonic()
        fill(settings, chosen.offsets, chosen.seconds)
        print(f"written in {time.monotonic() - began:.1f} s; again with --again {name}")  # noqa: T201  # it talks to whoever runs it
    began, cpu = time.monotonic(), time.process_time()
    report = audit(settings, Selection(), lambda *_: None)
    took = f"{time.monotonic() - began:.1f} s, {time.process_time() - cpu:.1f} s of them of the processor"
    for offset in (0, chosen.offsets // PARTITIONS // 2, chosen.offsets // PARTITIONS - 1):
        began = time.monotonic()
        with open_tracer(settings) as tracer:
            life = tracer.trace(At(Place(settings.topics.recordings, 5), offset))
        print(f"why of offset {offset}: ended: {life.ended}, {time.monotonic() - began:.2f} s")  # noqa: T201  # the same
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{report.records:,} records, proved: {report.proved}, {took}, {most:.0f} MiB at most")  # noqa: T201  # the same


if __name__ == "__main__":
    main()
