"""Our source and one of our sinks in a loop: what a worker does to Kafka, and nothing else of a worker."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamproc.bench.stretch import UntrueRunError
from streamproc.kafka.sink import IdempotentSink, TransactionalSink
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import CommitOffset, OutputRecord, Record, TopicPartition
from streamproc.settings import Settings

SLOT = 0
PATIENCE_S = 30.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Turn:
    """Some micro-batches, one after the other."""

    records: int
    seconds: float
    """From the first poll to the last commit."""
    cpu_s: float
    """Of this process meanwhile, with all threads of the client."""
    commit_s: tuple[float, ...]
    """Of each micro-batch: its outputs and offsets handed over, until they are visible."""


class Relay:
    """Reads the input topic in micro-batches and writes each record to the output topic, under the setting's delivery.

    A lone member of its group: an assignment that changes after the first is a run that measures something else.
    """

    def __init__(self, settings: Settings) -> None:
        self._topics = settings.topics
        self._size = settings.flow.micro_batch_records
        self._source = KafkaSource(settings, [settings.topics.recordings], self)
        self._sink = (
            TransactionalSink(settings, SLOT)
            if settings.kafka.delivery == "exactly_once"
            else IdempotentSink(settings, self._source.commit)
        )
        self._sink.open()

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """The source has them; there is nothing else to know."""

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Happens when it closes."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Raises UntrueRunError: nobody else is in the group."""
        raise UntrueRunError(f"the group took {len(partitions)} partitions away from its only member")

    def asked(self) -> None:
        """Nothing: only the thread that polls commits."""

    def turn(self, micro_batches: int) -> Turn:
        """Relay so many. Raises UntrueRunError when the input ends before, AbortedError, FatalError."""
        commits = []
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(micro_batches):
            records = self._gather()
            begun = time.perf_counter()
            outputs = [OutputRecord(self._topics.results, record.key, record.value) for record in records]
            self._sink.commit(outputs, next_offsets(records), self._source.group_metadata())
            commits.append(time.perf_counter() - begun)
        seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
        return Turn(micro_batches * self._size, seconds, cpu_s, tuple(commits))

    def close(self) -> None:
        """Leave the group, drop the connections."""
        self._sink.close()
        self._source.close()

    def _gather(self) -> Sequence[Record]:
        records: list[Record] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(records) < self._size:
            if time.monotonic() > deadline:
                raise UntrueRunError(f"no full micro-batch in {PATIENCE_S:g} s. Trouble: {self._source.trouble}")
            records += self._source.poll(self._size - len(records), POLL_S)
        return records


def next_offsets(records: Sequence[Record]) -> Sequence[CommitOffset]:
    """Behind the last record of each partition; those of a partition come in order."""
    last = {record.source: record.offset for record in records}
    return [CommitOffset(place.topic, place.partition, offset + 1) for place, offset in sorted(last.items())]
