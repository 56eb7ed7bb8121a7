"""Which partitions are ours, and since when: one epoch per assignment of a partition."""

import threading
from collections.abc import Iterable, Mapping

from streamproc.records.record import TopicPartition


class Ownership:
    """The epochs of the partitions that this worker owns.

    The polling thread writes, every other thread reads: a commit asks whether the epoch under which a record was
    taken is still the current one, and leaves the record out if it is not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: dict[TopicPartition, int] = {}
        self._last = 0

    def assign(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Begin a new epoch for each of these."""
        begun = {}
        with self._lock:
            for partition in partitions:
                self._last += 1
                begun[partition] = self._current[partition] = self._last
        return begun

    def drop(self, partitions: Iterable[TopicPartition]) -> None:
        """End the epochs of these; their records may no longer be committed."""
        with self._lock:
            for partition in partitions:
                self._current.pop(partition, None)

    def epoch(self, partition: TopicPartition) -> int | None:
        """The current epoch, None for a partition that is not ours."""
        with self._lock:
            return self._current.get(partition)

    def holds(self, partition: TopicPartition, epoch: int) -> bool:
        """Whether a record taken under ``epoch`` may still be committed."""
        return self.epoch(partition) == epoch

    def partitions(self) -> frozenset[TopicPartition]:
        """What is ours now."""
        with self._lock:
            return frozenset(self._current)
