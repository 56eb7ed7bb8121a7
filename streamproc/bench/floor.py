"""The floor: what the same number of records costs in the libraries alone, with the worker's own options.

Nothing of ours runs inside the measured parts but the loops around the libraries' calls.
"""

import io
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition
from redis import Redis

from streamproc.bench.events import Part
from streamproc.errors import StreamprocError
from streamproc.kafka.config import consumer_config, transactional_config
from streamproc.kafka.errors import END_OF_PARTITION, describe
from streamproc.kafka.own_schemas import look_up_outputs
from streamproc.kafka.registry import connect
from streamproc.records.avro import frame, schema_of
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings

BATCH = 512
"""Records of one transaction, as many as a full micro-batch has by default."""
_FRAME_BYTES = 5
_CALL_S = 30.0
_POLL_S = 1.0


class FloorError(StreamprocError):
    """Raised when the records cannot be read again, so that there is no floor."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one part took, for all records together."""

    part: str
    wall_s: float
    cpu_s: float
    """Of this process with all its threads, librdkafka's too."""


@contextmanager
def timed(part: str, costs: list[Cost]) -> Iterator[None]:
    """Add to ``costs`` what the block takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    costs.append(Cost(part, time.perf_counter() - wall, time.process_time() - cpu))


def measure_floor(settings: Settings, parts: Sequence[Part], row: EmotionResult) -> Sequence[Cost]:
    """Read the records of ``parts``, decode them, ask Redis by batches, encode ``row`` as often, write in transactions.

    Raises KafkaException, FloorError.
    """
    costs: list[Cost] = []
    own = settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(
                update={
                    "group": f"{settings.kafka.group}-floor",
                    "transactional_prefix": f"{settings.kafka.transactional_prefix}-floor",
                }
            )
        }
    )
    log = logging.getLogger("librdkafka")
    with closing(Consumer(consumer_config(own), logger=log)) as consumer:
        topic = own.topics.recordings
        consumer.list_topics(topic, timeout=_CALL_S)  # connected; what is measured is the records
        with timed("consume", costs):
            values = _consume(consumer, topic, parts)
        with timed("decode", costs):
            _decode(values)
        with closing(Redis.from_url(own.redis.url.get_secret_value() if own.redis.url else "")) as redis:
            redis.ping()
            with timed("MGET", costs):
                _look_up(redis, len(values))
        with connect(own.registry) as registry:
            schema_id = look_up_outputs(registry, own.topics).result_schema_id
        with timed("encode", costs):
            rows = _encode(row, schema_id, len(values))
        producer = Producer(transactional_config(own, 0), logger=log)
        producer.init_transactions(_CALL_S)
        offsets = [TopicPartition(topic, part.partition, part.end) for part in parts]
        with timed("produce", costs):
            _produce(producer, own.topics.results, rows, lambda: _add_offsets(producer, consumer, offsets))
    return costs


def _consume(consumer: Consumer, topic: str, parts: Sequence[Part]) -> Sequence[bytes]:
    consumer.assign([TopicPartition(topic, part.partition, part.start) for part in parts])
    wanted = {part.partition: part for part in parts}
    missing = sum(part.end - part.start for part in parts)
    values: list[bytes] = []
    deadline = time.monotonic() + _CALL_S
    while missing:
        if time.monotonic() > deadline:
            raise FloorError(f"{missing} records of {topic} were not read again in {_CALL_S:g} s")
        # Never more than is missing: with more it would wait for records that nobody sends.
        for message in consumer.consume(min(BATCH, missing), _POLL_S):
            error, value, partition, offset = message.error(), message.value(), message.partition(), message.offset()
            if error is not None:
                if error.code() != END_OF_PARTITION:
                    raise FloorError(f"{topic} cannot be read again: {describe(error)}")
            elif value is not None and partition is not None and offset is not None and offset < wanted[partition].end:
                values.append(value)
                missing -= 1
    return values


def _decode(values: Sequence[bytes]) -> None:
    schema = schema_of(RecordingEvent).parsed
    for value in values:
        fastavro.schemaless_reader(io.BytesIO(value[_FRAME_BYTES:]), schema, schema)


def _look_up(redis: Redis, count: int) -> None:
    """Ask for as many names as there are records, of which none is known; what a value takes is not in it."""
    for start in range(0, count, BATCH):
        redis.mget([f"sp:floor:{number:048d}" for number in range(start, min(start + BATCH, count))])


def _encode(row: EmotionResult, schema_id: int, count: int) -> Sequence[bytes]:
    schema, fields = schema_of(EmotionResult).parsed, row._asdict()
    rows = []
    for _ in range(count):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, fields, strict=True)
        rows.append(frame(schema_id, out.getvalue()))
    return rows


def _produce(producer: Producer, topic: str, rows: Sequence[bytes], add_offsets: Callable[[], None]) -> None:
    for start in range(0, len(rows), BATCH):
        producer.begin_transaction()
        for number, row in enumerate(rows[start : start + BATCH], start):
            producer.produce(topic, row, str(number).encode())
        add_offsets()
        producer.commit_transaction(_CALL_S)


def _add_offsets(producer: Producer, consumer: Consumer, offsets: list[TopicPartition]) -> None:
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), _CALL_S)
