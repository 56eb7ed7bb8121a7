"""What an outsider sees: plain confluent-kafka and fastavro, nothing of the product.

The oracle reads committed records only, and knows the input offsets that it produced itself.
"""

import io
import json
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient

ANSWER_S = 60
"""For a broker to answer on a busy machine."""


@dataclass
class Seen:
    """Everything that became visible."""

    results: list[dict[str, object]] = field(default_factory=list)
    segments: list[dict[str, object]] = field(default_factory=list)
    ledger: list[dict[str, object]] = field(default_factory=list)
    dead: list[tuple[bytes | None, bytes | None, dict[str, bytes | None]]] = field(default_factory=list)

    def outcomes(self, topic: str) -> dict[tuple[int, int], list[tuple[str, str]]]:
        """Per input offset of ``topic``, what it became: every one that is visible."""
        found: dict[tuple[int, int], list[tuple[str, str]]] = {}
        for row in self.results:
            assert row["input_topic"] == topic
            place = (int(str(row["input_partition"])), int(str(row["input_offset"])))
            found.setdefault(place, []).append(("result", str(row["status"])))
        for _, _, headers in self.dead:
            place = (int(headers["sp-origin-partition"] or b""), int(headers["sp-origin-offset"] or b""))
            found.setdefault(place, []).append(("dead_letter", (headers["sp-reason"] or b"").decode()))
        return found

    def covered(self, topic: str) -> Counter[tuple[int, int]]:
        """How often the ledger names each offset of ``topic``: once, if it has neither a hole nor an overlap."""
        return Counter(
            (int(str(row["input_partition"])), offset)
            for row in self.ledger
            if row["input_topic"] == topic
            for offset in range(int(str(row["first_offset"])), int(str(row["last_offset"])) + 1)
        )


class Oracle:
    """Produces to the input, reads the outputs."""

    def __init__(self, bootstrap: str, registry: str, topics: Mapping[str, str]) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self.registry = SchemaRegistryClient({"url": registry})
        self._schemas: dict[int, object] = {}
        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
        self._askers: dict[str, Consumer] = {}
        self._watchers = {
            level: Consumer({"bootstrap.servers": bootstrap, "group.id": "oracle", "isolation.level": level})
            for level in ("read_committed", "read_uncommitted")
        }
        self._watched: list[TopicPartition] = []

    def produce(
        self,
        value: bytes | None,
        key: bytes,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int = 0,
        partition: int = -1,
    ) -> tuple[int, int]:
        """Produce one input record, to the partition of its key if none is named; its partition and offset."""
        placed: list[tuple[int, int]] = []

        def delivered(error: KafkaError | None, message: object) -> None:
            assert error is None, error
            placed.append((message.partition(), message.offset()))  # type: ignore[attr-defined]  # a Message

        self._producer.produce(
            self._topics["input"],
            value=value,
            key=key,
            partition=partition,
            headers=list(headers),
            timestamp=timestamp_ms or int(time.time() * 1000),
            on_delivery=delivered,
        )
        assert self._producer.flush(ANSWER_S) == 0
        return placed[0]

    def encode(self, schema_id: int, schema: Mapping[str, object], fields: Mapping[str, object]) -> bytes:
        """Confluent's wire format, by hand."""
        out = io.BytesIO()
        out.write(struct.pack(">bI", 0, schema_id))
        fastavro.schemaless_writer(out, fastavro.parse_schema(dict(schema)), dict(fields))
        return out.getvalue()

    def read(self, name: str, isolation: str = "read_committed") -> Iterator[object]:
        """Every message of a topic from its start to its end now."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "oracle",
                "enable.auto.commit": False,
                "isolation.level": isolation,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            topic = self._topics[name]
            partitions = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            left = set(partitions)
            deadline = time.monotonic() + 2 * ANSWER_S
            while left:
                assert time.monotonic() < deadline, f"{topic}: no end of {left}"
                message = consumer.poll(1)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                else:
                    raise KafkaException(error)
        finally:
            consumer.close()

    def seen(self) -> Seen:
        """Everything that a read_committed reader sees now."""
        seen = Seen()
        for name, rows in (("results", seen.results), ("segments", seen.segments), ("ledger", seen.ledger)):
            rows.extend(self._decode(message.value()) for message in self.read(name))  # type: ignore[attr-defined]  # a Message
        for message in self.read("dead"):
            headers = dict(message.headers() or ())  # type: ignore[attr-defined]  # a Message
            seen.dead.append((message.key(), message.value(), headers))  # type: ignore[attr-defined]  # a Message
        return seen

    def transaction_is_open(self) -> bool:
        """Whether some output partition holds records that no read_committed reader may see yet."""
        ends = {level: self._ends(level) for level in ("read_committed", "read_uncommitted")}
        return any(ends["read_committed"][place] < end for place, end in ends["read_uncommitted"].items())

    def position(self, group: str) -> int:
        """Sum of the group's committed offsets of the input topic."""
        return sum(self.positions(group).values())

    def positions(self, group: str) -> dict[int, int]:
        """The group's committed offset of each input partition."""
        return {p.partition: max(p.offset, 0) for p in self._committed(group)}

    def marks(self, group: str) -> set[str]:
        """What stands beside the group's committed offsets."""
        return {p.metadata or "" for p in self._committed(group)}

    def _committed(self, group: str) -> list[TopicPartition]:
        """Of the input; asked again while the broker comes back."""
        deadline = time.monotonic() + 2 * ANSWER_S
        while True:
            try:
                found = self._ask(group)
            except KafkaException:
                assert time.monotonic() < deadline, "the group's coordinator does not answer"
                # A client that saw the broker go may wait for its old coordinator for ever (librdkafka issue 5511).
                self._askers.pop(group).close()
                time.sleep(0.5)
            else:
                return [p for p in found if p.offset >= 0]

    def _ask(self, group: str) -> list[TopicPartition]:
        """A consumer that joins nothing; the admin's own question ends the process when a coordinator has moved.

        (Read in a core: ``rd_kafka_handle_OffsetFetch`` reaches for a group that an admin client does not have.)
        """
        if group not in self._askers:
            # Uncommitted: else it waits while a transaction is open over the offsets.
            config = {"group.id": group, "enable.auto.commit": False, "isolation.level": "read_uncommitted"}
            self._askers[group] = Consumer({"bootstrap.servers": self._bootstrap, **config})
        asker, topic = self._askers[group], self._topics["input"]
        partitions = asker.list_topics(topic, timeout=5).topics[topic].partitions
        return asker.committed([TopicPartition(topic, partition) for partition in partitions], timeout=5)

    def close(self) -> None:
        """Drop the connections."""
        self.registry.close()
        for consumer in (*self._watchers.values(), *self._askers.values()):
            consumer.close()

    def _ends(self, isolation: str) -> dict[tuple[str, int], int]:
        consumer = self._watchers[isolation]
        if not self._watched:
            for name in ("ledger", "results"):
                topic = self._topics[name]
                partitions = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
                self._watched += [TopicPartition(topic, partition) for partition in partitions]
        ends = {}
        for place in self._watched:
            watermarks = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
            assert watermarks is not None, f"no answer for {place}"
            ends[place.topic, place.partition] = watermarks[1]
        return ends

    def _decode(self, value: bytes) -> dict[str, object]:
        magic, schema_id = struct.unpack(">bI", value[:5])
        assert magic == 0
        if schema_id not in self._schemas:
            text = self.registry.get_schema(schema_id).schema_str
            assert text is not None
            self._schemas[schema_id] = fastavro.parse_schema(json.loads(text))
        stream = io.BytesIO(value[5:])
        row = fastavro.schemaless_reader(stream, self._schemas[schema_id], None)  # type: ignore[arg-type]  # a parsed schema
        assert stream.tell() == len(value) - 5
        assert isinstance(row, dict)
        return row
