"""A member of a group with our source and sink, in a thread of its own: takes records, works on them, commits."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from streamproc.bench.relay import next_offsets
from streamproc.errors import AbortedError, StreamprocError
from streamproc.kafka.sink import TransactionalSink
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import CommitOffset, OutputRecord, Record, TopicPartition
from streamproc.settings import Settings

MICRO_BATCH = 40
WORK_S = 0.02
"""Between the poll and the commit, when the group may move on."""
POLL_S = 0.05


class Progress(NamedTuple):
    """A commit: when, and of which partitions."""

    at_s: float
    partitions: frozenset[int]


class Member:
    """Runs until it is told to leave. After an abort it commits what is still its own again, from memory."""

    def __init__(self, settings: Settings, slot: int, progressed: Callable[[Progress], None]) -> None:
        self._topics = settings.topics
        self._progressed = progressed
        self._held: list[Record] = []
        self._leave = threading.Event()
        self._source = KafkaSource(settings, [settings.topics.recordings], self)
        self._sink = TransactionalSink(settings, slot)
        self.aborts: list[str] = []
        self.failure: StreamprocError | None = None
        self._thread = threading.Thread(target=self._run, name=f"member-{slot}")
        self._thread.start()

    @property
    def owned(self) -> int:
        """How many partitions it has."""
        return len(self._source.owned)

    def leave(self) -> None:
        """Leave the group in order; returns when it has."""
        self._leave.set()
        self._thread.join()

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """From here on; what was held of them was somebody else's in between."""
        self._drop(list(starts))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Somebody else begins at the last commit."""
        self._drop(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """The same, without having been asked."""
        self._drop(partitions)

    def asked(self) -> None:
        """Nothing: only the thread that polls commits."""

    def _drop(self, partitions: Sequence[TopicPartition]) -> None:
        self._held = [record for record in self._held if record.source not in partitions]

    def _run(self) -> None:
        try:
            self._sink.open()
            while not self._leave.is_set():
                taken = (
                    self._source.poll(MICRO_BATCH, POLL_S) if len(self._held) < MICRO_BATCH else self._source.poll(1, 0)
                )
                self._held += taken  # behind what callbacks of the same poll left
                if self._held:
                    time.sleep(WORK_S)
                    self._commit()
        except StreamprocError as error:
            self.failure = error
        finally:
            self._source.close()
            self._sink.close()

    def _commit(self) -> None:
        records = self._held
        outputs = [OutputRecord(self._topics.results, record.key, record.value) for record in records]
        try:
            self._sink.commit(outputs, next_offsets(records), self._source.group_metadata())
        except AbortedError as error:
            self.aborts.append(str(error))
        else:
            self._held = []
            self._progressed(Progress(time.monotonic(), frozenset(record.partition for record in records)))
