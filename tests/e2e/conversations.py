"""Results and segments of calls that never were, written as workers write them: in transactions, some of them aborted.

And every window of them, recomputed from what an outsider reads: plain confluent-kafka and fastavro, nothing of the
product but its encoder.
"""

import io
import json
import math
import random
import struct
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient

from streamproc.records.avro import encode, frame, schema_of
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.trend import EmotionTrend
from streamproc.settings import Settings

LABELS = ("angry", "happy", "neutral", "sad", "bored", None)
NEGATIVE = ("angry", "disgusted", "fearful", "sad")
COLUMNS = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")
WAIT_S = 60
HOUR_MS = 3_600_000
Marks = dict[str, dict[int, set[tuple[int, int, float]]]]
"""Begin, place and negativity of the segments of each channel of each result."""


def blank(kind: type[Any], **given: Any) -> Any:
    """A row with nothing in it but what is given."""
    empty: dict[Any, Any] = {str: "", int: 0, float: 0.0}
    return kind(**{name: given.get(name, empty.get(type_)) for name, type_ in kind.__annotations__.items()})


@dataclass
class Conversations:
    """Writes them. ``total`` results span ``hours``; each row says when it was produced."""

    settings: Settings
    seed: int
    total: int
    hours: float = 4
    at_ms: int = field(init=False)
    aborts: float = 0.1
    """The share of transactions that are aborted before they are written again."""
    written: int = 0
    aborted: int = 0
    """Transactions."""
    _random: random.Random = field(init=False)
    _old: list[tuple[bytes, EmotionResult, list[EmotionSegment]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        # A broker takes no times of the far future, and deletes those of the past.
        self.at_ms = round(time.time() * 1000) // HOUR_MS * HOUR_MS - round((self.hours + 1) * HOUR_MS)
        with SchemaRegistryClient({"url": self.settings.registry.url}) as registry:
            self._ids = {
                topic: registry.get_latest_version(f"{topic}-value").schema_id or 0
                for topic in (self.settings.topics.results, self.settings.topics.segments)
            }
        self._producer = Producer(
            {
                "bootstrap.servers": self.settings.kafka.bootstrap_servers,
                "transactional.id": f"conversations-{uuid.uuid4()}",
                "partitioner": "murmur2_random",
                "compression.type": "lz4",  # as workers write: whoever reads needs the codec
                "linger.ms": 5,
                "retry.backoff.ms": 5,
            }
        )
        self._producer.init_transactions(WAIT_S)

    def write(self, count: int, transaction: int = 500) -> None:
        """Write so many results more, with their segments; a tenth of them again later."""
        step_ms = int(self.hours * HOUR_MS / self.total)
        for start in range(0, count, transaction):
            calls = [self._call(step_ms) for _ in range(min(transaction, count - start))]
            if self._random.random() < self.aborts:
                self.aborted += 1
                self._send([self._aborted(call) for call in calls])
                self._producer.flush()
                self._producer.abort_transaction(WAIT_S)
            self._send(calls)
            self._producer.commit_transaction(WAIT_S)
            self.written += len(calls)

    def add(self, agent: str, label: str, count: int) -> None:
        """Write so many results of one label more, all in the window in which these conversations began."""
        said = {"label": label, "confidence": 1.0, "agent": agent, "recorded_at": self.at_ms, "produced_at": self.at_ms}
        calls: list[tuple[bytes, EmotionResult, list[EmotionSegment]]] = []
        for _ in range(count):
            ident = str(uuid.UUID(int=self._random.getrandbits(128)))
            calls.append((ident.encode(), blank(EmotionResult, result_id=ident, event_id=ident, **said), []))
        self._send(calls)
        self._producer.commit_transaction(WAIT_S)

    def _call(self, step_ms: int) -> tuple[bytes, EmotionResult, list[EmotionSegment]]:
        chance = self._random
        if self._old and chance.random() < 0.1:
            return chance.choice(self._old)
        self.at_ms += step_ms
        lag_ms = chance.choice([0, 0, 0, chance.randrange(1000, 300_000), chance.randrange(HOUR_MS, 3 * HOUR_MS)])
        recorded_at = self.at_ms - lag_ms
        ahead = chance.random() < 0.01
        ident, label = str(uuid.UUID(int=chance.getrandbits(128))), chance.choice(LABELS)
        agent = f"agent-{min(int(chance.expovariate(0.1)), 60)}"
        result = blank(
            EmotionResult,
            result_id=ident,
            event_id=ident,
            fingerprint="f",
            label=label,
            confidence=chance.random() if label else None,
            tenant=chance.choice(["north", "süd"]),
            agent=agent,
            queue=chance.choice(["sales", "support", "billing", None]),
            recorded_at=recorded_at + (10 * HOUR_MS if ahead else 0),
            produced_at=self.at_ms,
        )
        channels = chance.choice([1, 1, 2])
        segments = [
            blank(
                EmotionSegment,
                segment_id=f"{ident}-{index}",
                result_id=ident,
                event_id=ident,
                index=index,
                channel=index % channels,
                start_ms=index // channels * 15_000,
                recorded_at=result.recorded_at,
                **{f"score_{name}": chance.random() / 9 for name in COLUMNS},
            )
            for index in range(chance.randrange(4) * channels)
        ]
        call = (f"{agent}/{ident[:4]}".encode(), result, segments)
        if len(self._old) < 2000:
            self._old.append(call)
        return call

    def _aborted(
        self, call: tuple[bytes, EmotionResult, list[EmotionSegment]]
    ) -> tuple[bytes, EmotionResult, list[EmotionSegment]]:
        """A row that nobody may count, in the place of one that comes after it."""
        key, result, _ = call
        return key, result._replace(result_id=f"aborted-{result.result_id}"), []

    def _send(self, calls: list[tuple[bytes, EmotionResult, list[EmotionSegment]]]) -> None:
        topics = self.settings.topics
        self._producer.begin_transaction()
        for key, result, segments in calls:
            stamp = result.produced_at
            rows: list[tuple[str, EmotionResult | EmotionSegment]] = [(topics.segments, row) for row in segments]
            rows.insert(self._random.randrange(len(rows) + 1), (topics.results, result))
            for topic, row in rows:
                value = frame(self._ids[topic], encode(row))
                while True:
                    try:
                        self._producer.produce(topic, value, key, timestamp=stamp)
                        break
                    except BufferError:
                        self._producer.poll(0.1)
        self._producer.poll(0)


def read_topic(settings: Settings, topic: str, kind: type[Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every committed row of a topic with its record's time, read by an outsider."""
    schema = fastavro.parse_schema(json.loads(schema_of(kind).text))
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": "outsider",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=WAIT_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        left = set(partitions)
        while left:
            for message in consumer.consume(1000, 1.0):
                error, value = message.error(), message.value()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left.discard(message.partition())
                elif value is not None:
                    magic, _ = struct.unpack_from(">bI", value)
                    assert magic == 0
                    row = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
                    assert isinstance(row, dict)
                    yield message.timestamp()[1], row
    finally:
        consumer.close()


def expected(settings: Settings) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    """Every window of every key that is not over, from nothing but the topics.

    Time goes as far as the latest recording of a result that was not ahead; a window is over when it ended earlier than
    retention before that.
    """
    app = settings.analytics
    results: dict[str, Mapping[str, Any]] = {}
    now = 0
    for written_at, row in read_topic(settings, settings.topics.results, EmotionResult):
        times = (_ms(row["recorded_at"]), _ms(row["produced_at"]), written_at)
        if all(one <= other + app.ahead_s * 1000 for one, other in combinations(times, 2)):
            results.setdefault(row["result_id"], row)
            now = max(now, min(_ms(row["recorded_at"]), _ms(row["produced_at"])))
    marks: Marks = defaultdict(lambda: defaultdict(set))
    for _, row in read_topic(settings, settings.topics.segments, EmotionSegment):
        scores = [row[f"score_{name}"] for name in COLUMNS if name in NEGATIVE]
        marks[row["result_id"]][row["channel"]].add((row["start_ms"], row["index"], sum(scores)))
    groups: dict[tuple[str, str, str, int], list[Mapping[str, Any]]] = defaultdict(list)
    kinds = (("tumbling", app.tumbling_s, app.tumbling_s), ("hopping", app.hopping_s, app.hop_s))
    for row in results.values():
        at = _ms(row["recorded_at"])
        keys = [("all", ""), *((name, row[name]) for name in app.attributes if row[name])]
        for kind, size_s, hop_s in kinds:
            start = at - at % (hop_s * 1000)
            while start > at - size_s * 1000:
                if start + size_s * 1000 + app.retention_s * 1000 <= now:
                    break
                for attribute, value in keys:
                    groups[kind, attribute, value, start].append(row)
                start -= hop_s * 1000
    return {name: _sum(rows, marks) for name, rows in groups.items()}


def _sum(rows: list[Mapping[str, Any]], marks: Marks) -> dict[str, Any]:
    labelled = [row for row in rows if row["label"]]
    channels = [course for row in rows for course in marks.get(row["result_id"], {}).values()]
    courses = [sorted(course) for course in channels if len(course) > 1]
    negative = sum(row["label"] in NEGATIVE for row in labelled)
    return {
        "results": len(rows),
        "labelled": len(labelled),
        "negative": negative,
        "changed": len(courses),
        "negative_share": negative / len(labelled) if labelled else None,
        "mean_confidence": sum(row["confidence"] for row in labelled) / len(labelled) if labelled else None,
        "mean_change": sum(c[-1][2] - c[0][2] for c in courses) / len(courses) if courses else None,
        "labels": Counter(row["label"] for row in labelled),
    }


def published(settings: Settings) -> dict[tuple[str, str, str, int], Mapping[str, Any]]:
    """The last row of each window, as readers have it."""
    found = {}
    for _, row in read_topic(settings, settings.topics.trends, EmotionTrend):
        found[row["window_kind"], row["attribute"], row["value"], _ms(row["window_start"])] = row
    return found


def differences(settings: Settings) -> list[str]:
    """Where readers have other windows than the topics come to, of those that are not over. Counts are equal or not;
    means to a millionth, which is how confidences and scores are rounded."""
    wanted, there = expected(settings), published(settings)
    since = min((start for _, _, _, start in wanted), default=0)
    found = [f"{name} is in excess" for name in there.keys() - wanted.keys() if name[3] > since]
    for name, window in wanted.items():
        row = there.get(name)
        if row is None:
            found.append(f"{name} is missing")
            continue
        labels = {label: row[f"count_{label}"] for label in COLUMNS} | json.loads(row["counts_json"] or "{}")
        if +Counter(labels) != window["labels"]:
            found.append(f"{name} has {labels}, not {window['labels']}")
        found += [
            f"{name} has {column} {row[column]}, not {value}"
            for column, value in window.items()
            if column != "labels" and row[column] != value and not _near(row[column], value)
        ]
    return found


def _near(one: Any, other: Any) -> bool:
    return isinstance(one, float) and isinstance(other, float) and math.isclose(one, other, rel_tol=0, abs_tol=4e-6)


def _ms(value: Any) -> int:
    """Ms since the epoch of what fastavro makes of a timestamp."""
    return value if isinstance(value, int) else round(value.timestamp() * 1000)
