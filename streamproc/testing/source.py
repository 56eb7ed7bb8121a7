"""A source that a test feeds, for the runtime's threads."""

import queue
import time
from collections.abc import Mapping, Sequence

from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.worker.ports import Assignments


class MemorySource:
    """Owns ``partitions`` from the first poll on. ``feed``, ``take_away`` and ``lose`` may be called by any thread."""

    def __init__(self, assignments: Assignments, partitions: Sequence[TopicPartition]) -> None:
        self._assignments = assignments
        self._waiting = list(partitions)
        self._owned: set[TopicPartition] = set()
        self._queue: queue.Queue[Record] = queue.Queue()
        self._events: queue.Queue[tuple[str, list[TopicPartition]]] = queue.Queue()
        self._kept: list[Record] = []
        self.paused: frozenset[TopicPartition] = frozenset()
        self.error: Exception | None = None
        self.polls = self.served = 0
        self.closed = False

    @property
    def trouble(self) -> str | None:
        """Never."""
        return None

    @property
    def drained(self) -> Mapping[TopicPartition, int]:
        """Of none: nobody says where they end."""
        return {}

    def feed(self, *records: Record) -> None:
        """Let records arrive."""
        for record in records:
            self._queue.put(record)

    def take_away(self, *partitions: TopicPartition) -> None:
        """Let the group revoke partitions at the next poll."""
        self._events.put(("revoked", list(partitions)))

    def lose(self, *partitions: TopicPartition) -> None:
        """Let the group have given partitions away already."""
        self._events.put(("lost", list(partitions)))

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Records that arrived, and the assignment callbacks."""
        self.polls += 1
        if self.error is not None:
            raise self.error
        if self._waiting:
            partitions, self._waiting = self._waiting, []
            self._owned |= set(partitions)
            self._assignments.assigned({p: CommitOffset(p.topic, p.partition, 0) for p in partitions})
        while not self._events.empty():
            kind, partitions = self._events.get()
            (self._assignments.revoked if kind == "revoked" else self._assignments.lost)(partitions)
            self._owned -= set(partitions)
        return self._records(most, timeout_s)

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Hold these back."""
        self.paused = partitions & self._owned

    def serve(self) -> None:
        """Nobody asks anything; count it."""
        self.served += 1

    def group_metadata(self) -> object:
        """Nobody asks what it is."""
        return None

    def close(self) -> None:
        """Leave the group."""
        self._assignments.revoked(sorted(self._owned))
        self._owned.clear()
        self.closed = True

    def _records(self, most: int, timeout_s: float) -> list[Record]:
        records = [record for record in self._kept if record.source not in self.paused]
        self._kept = [record for record in self._kept if record.source in self.paused]
        until = time.monotonic() + timeout_s
        while len(records) < most and (left := until - time.monotonic()) > 0:
            try:
                record = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if record.source in self._owned:
                (self._kept if record.source in self.paused else records).append(record)
        return records
