"""What workers leave in the topics, written by hand: right, or wrong on purpose."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer, TopicPartition

from streamproc.demo.plan import Announcement
from streamproc.demo.tally import Sent
from streamproc.errors import PoisonError, Reason, RecordError, Stage, TransientError
from streamproc.kafka.own_schemas import look_up_events, look_up_outputs
from streamproc.kafka.registry import connect
from streamproc.records.avro import OutputCodec, encode, frame
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.ledger import LedgerEntry, Transaction, build_entry
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import Headers, OutputRecord
from streamproc.records.record import TopicPartition as Place
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from streamproc.wiring import prepare
from tests.unit.demo.made import result

ANSWER_S = 60
ORIGINAL = OutputRecord("", b"k", b"event")
"""What a record on a lane or a dead letter began as."""


def own_topics(servers: Settings, partitions: int = 2, name: str = "") -> Settings:
    """Settings with topics and a group of one test's own."""
    name = name or uuid.uuid4().hex
    own = {kind: f"{kind}.{name}" for kind in ("recordings", "results", "segments", "ledger")}
    topics = servers.topics.model_copy(update={"partitions": partitions, "lane_partitions": 1, **own})
    kafka = servers.kafka.model_copy(update={"group": f"group.{name}"})
    settings = servers.model_copy(update={"topics": topics, "kafka": kafka})
    prepare(settings)
    return settings


@dataclass
class World:
    """Topics of one test, and a producer that writes like a worker's."""

    settings: Settings
    codec: OutputCodec
    event_schema: int
    producer: Producer
    consumer: Consumer

    @property
    def input(self) -> str:
        return self.settings.topics.recordings

    def announce(self, count: int, partition: int = 0, headers: Headers = ()) -> list[int]:
        """Input records; their offsets."""
        offsets: list[int] = []
        self.producer.begin_transaction()
        for number in range(count):
            self.producer.produce(
                self.input,
                self.event(partition, number),
                b"k%d" % number,
                partition=partition,
                headers=list(headers),
                on_delivery=lambda _, message: offsets.append(message.offset() or 0),
            )
        self.producer.commit_transaction(ANSWER_S)
        return offsets

    def event(self, partition: int, number: int) -> bytes:
        event = RecordingEvent(f"e-{partition}-{number}", 0, "recordings", f"calls/{number}.wav")
        return frame(self.event_schema, encode(event))

    def row(self, partition: int, offset: int, attempts: int = 1, **changes: object) -> EmotionResult:
        one = Announcement(f"{partition}/{offset}", "k", "result", "ok", f"e-{partition}-{offset}", "one.wav")
        place = {"input_topic": self.input, "attempts": attempts, "produced_at": now_ms()}
        return result(Sent(one, partition, offset), **{**place, **changes})

    def result(self, partition: int, offset: int, attempts: int = 1, **changes: object) -> Outcome:
        row = self.row(partition, offset, attempts, **changes)
        return Outcome(
            OutcomeKind.RESULT,
            (OutputRecord(self.settings.topics.results, b"k", self.codec.encode(row)),),
            row.result_id,
        )

    def dead(
        self,
        partition: int,
        offset: int,
        attempts: int = 1,
        reason: Reason = Reason.OBJECT_MISSING,
        original: OutputRecord = ORIGINAL,
    ) -> Outcome:
        error = PoisonError(reason, Stage.FETCH, "planted")
        letter = self._moved(self.settings.topics.dead_letters, error, (partition, offset, attempts), original)
        return Outcome(OutcomeKind.DEAD_LETTER, (letter,), reason=reason)

    def retry(self, partition: int, offset: int, attempts: int = 1, lane: int = 0) -> Outcome:
        error = TransientError(Reason.STORE_UNAVAILABLE, Stage.FETCH, "planted")
        moved = self._moved(self.settings.topics.lanes[lane], error, (partition, offset, attempts), ORIGINAL)
        return Outcome(OutcomeKind.RETRY, (moved,), reason=error.reason)

    def _moved(
        self, topic: str, error: RecordError, place: tuple[int, int, int], original: OutputRecord
    ) -> OutputRecord:
        partition, offset, attempts = place
        headers = failure_headers(Attempt(self.input, partition, offset, attempts, 1), error)
        return OutputRecord(topic, original.key, original.value, (*original.headers, *headers))

    def commit(
        self,
        source: Place,
        outcomes: Sequence[tuple[int, Outcome]],
        *,
        written: Sequence[tuple[int, Outcome]] | None = None,
        entry: LedgerEntry | None = None,
        ledger: bool = True,
    ) -> dict[str, list[tuple[int, int]]]:
        """One transaction: outcomes and their ledger row; ``written`` instead of them, ``entry`` instead of it.

        Where each record came to stand, by topic.
        """
        placed: dict[str, list[tuple[int, int]]] = {}

        def note(_: object, message: object) -> None:
            places = placed.setdefault(message.topic(), [])  # type: ignore[attr-defined]  # a Message
            places.append((message.partition(), message.offset()))  # type: ignore[attr-defined]  # the same

        outputs = [one for _, outcome in (outcomes if written is None else written) for one in outcome.outputs]
        if ledger:
            row = self.codec.encode(
                entry or build_entry(Transaction("0", 1, len(outcomes), now_ms()), source, outcomes)
            )
            outputs.append(OutputRecord(self.settings.topics.ledger, str(source).encode(), row))
        self.producer.begin_transaction()
        for one in outputs:
            self.producer.produce(one.topic, one.value, one.key, headers=list(one.headers), on_delivery=note)
        if outcomes:
            following = [TopicPartition(*source, outcomes[-1][0] + 1)]
            self.producer.send_offsets_to_transaction(following, self.consumer.consumer_group_metadata(), ANSWER_S)
        self.producer.commit_transaction(ANSWER_S)
        return placed


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def plant(settings: Settings) -> Iterator[World]:
    """A world on these topics."""
    address = settings.kafka.bootstrap_servers
    ident = uuid.uuid4().hex
    producer = Producer({"bootstrap.servers": address, "transactional.id": ident, "partitioner": "murmur2_random"})
    producer.init_transactions(ANSWER_S)
    consumer = Consumer({"bootstrap.servers": address, "group.id": settings.kafka.group})
    try:
        with connect(settings.registry) as registry:
            codec = look_up_outputs(registry, settings.topics)
            yield World(settings, codec, look_up_events(registry, settings.topics), producer, consumer)
    finally:
        consumer.close()
