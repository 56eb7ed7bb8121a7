"""The floor: what the same number of records costs in the libraries alone, with the worker's own options.

Nothing of ours runs inside the measured parts but the loops around the libraries' calls: events are read and results
written by fastavro. Beside it a second floor, for which the two are done by our own codecs (``records/quick_avro.py``
and ``records/flat_avro.py``), as a worker does them; its other parts are the very same measurements.
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
from streamproc.records.avro import decode, encode, frame, parse_writer, schema_of
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings

DECODE, ENCODE = "decode", "encode"
"""The parts that there are two of."""
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


@dataclass(frozen=True, slots=True)
class Floor:
    """Both floors, part by part in the same order."""

    libraries: Sequence[Cost]
    own: Sequence[Cost]


@contextmanager
def timed(part: str, costs: list[Cost]) -> Iterator[None]:
    """Add to ``costs`` what the block takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    costs.append(Cost(part, time.perf_counter() - wall, time.process_time() - cpu))


def summed(costs: Sequence[Cost]) -> Sequence[Cost]:
    """One of each part, in the order in which they came first."""
    names = dict.fromkeys(cost.part for cost in costs)
    of = {name: [cost for cost in costs if cost.part == name] for name in names}
    return [Cost(name, sum(one.wall_s for one in of[name]), sum(one.cpu_s for one in of[name])) for name in names]


def with_own(costs: Sequence[Cost], own: Sequence[Cost]) -> Sequence[Cost]:
    """The same parts, those of our own in place of the libraries'."""
    instead = {cost.part: cost for cost in own}
    return [instead.get(cost.part, cost) for cost in costs]


def measure_floor(
    settings: Settings, parts: Sequence[Part], row: EmotionResult, names: Sequence[str] | None = None
) -> Floor:
    """Read the records of ``parts``, decode them, ask Redis by batches, encode ``row`` as often, write in transactions.

    ``names`` are what Redis is asked for, one for each record; without them as many that it does not know. What is
    found is not decoded. Raises KafkaException, FloorError.
    """
    costs: list[Cost] = []
    ours: list[Cost] = []
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
        with timed(DECODE, costs):
            _decode(values)
        _decode_ourselves(values, ours)
        with closing(Redis.from_url(own.redis.url.get_secret_value() if own.redis.url else "")) as redis:
            redis.ping()
            asked = names if names is not None else [f"sp:floor:{number:048d}" for number in range(len(values))]
            with timed("MGET", costs):
                found = _look_up(redis, asked)
            if names is not None and len(found) != len(values):
                raise FloorError(f"redis knows {len(found)} of {len(values)} analyses by now")
        with connect(own.registry) as registry:
            schema_id = look_up_outputs(registry, own.topics).result_schema_id
        with timed(ENCODE, costs):
            rows = _encode(row, schema_id, len(values))
        _encode_ourselves(_rows(row, len(values), apart=names is not None), schema_id, ours)
        producer = Producer(transactional_config(own, 0), logger=log)
        producer.init_transactions(_CALL_S)
        offsets = [TopicPartition(topic, part.partition, part.end) for part in parts]
        _produce(producer, own.topics.results, rows, costs, lambda: _add_offsets(producer, consumer, offsets))
    libraries = summed(costs)
    return Floor(libraries, with_own(libraries, ours))


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


def _decode_ourselves(values: Sequence[bytes], costs: list[Cost]) -> None:
    schema = schema_of(RecordingEvent)
    writer = parse_writer(schema.text, schema)
    with timed(DECODE, costs):
        for value in values:
            decode(value[_FRAME_BYTES:], writer, schema)


def _look_up(redis: Redis, names: Sequence[str]) -> Sequence[object]:
    answers: list[object] = [redis.mget(names[start : start + BATCH]) for start in range(0, len(names), BATCH)]
    return [value for answer in answers if isinstance(answer, list) for value in answer if value is not None]


def _encode(row: EmotionResult, schema_id: int, count: int) -> Sequence[bytes]:
    schema, fields = schema_of(EmotionResult).parsed, row._asdict()
    rows = []
    for _ in range(count):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, fields, strict=True)
        rows.append(frame(schema_id, out.getvalue()))
    return rows


def _rows(row: EmotionResult, count: int, *, apart: bool) -> Sequence[EmotionResult]:
    """Rows that differ where a worker's do: equal ones would all be remembered. ``apart``: each of its own content."""
    rows = [row._replace(event_id=f"floor-{number}", input_offset=number) for number in range(count)]
    if not apart:
        return rows
    return [
        one._replace(object_key=f"floor/{number}.wav", content_sha256=f"{number:064x}")
        for number, one in enumerate(rows)
    ]


def _encode_ourselves(rows: Sequence[EmotionResult], schema_id: int, costs: list[Cost]) -> None:
    with timed(ENCODE, costs):
        for one in rows:
            frame(schema_id, encode(one))


def _produce(
    producer: Producer, topic: str, rows: Sequence[bytes], costs: list[Cost], add_offsets: Callable[[], None]
) -> None:
    """Rows in transactions, and what the transactions add to them: all is written when their ends are asked for.

    That a transaction's first row has to wait until its partition is added is in the rows' share.
    """
    for start in range(0, len(rows), BATCH):
        with timed("produce", costs):
            producer.begin_transaction()
            for number, row in enumerate(rows[start : start + BATCH], start):
                producer.produce(topic, row, str(number).encode())
            producer.flush(_CALL_S)
        with timed("transaction", costs):
            add_offsets()
            producer.commit_transaction(_CALL_S)


def _add_offsets(producer: Producer, consumer: Consumer, offsets: list[TopicPartition]) -> None:
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), _CALL_S)
