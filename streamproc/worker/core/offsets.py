"""Offsets in flight, and the one offset per partition that may be committed."""

from collections import deque
from dataclasses import dataclass, field

from streamproc.records.record import TopicPartition


@dataclass(slots=True)
class _Partition:
    epoch: int
    in_flight: deque[int] = field(default_factory=deque)
    finished: set[int] = field(default_factory=set)
    high_water: int = -1
    """One past the highest offset taken; -1 until one was."""


class Offsets:
    """Committable = the lowest unfinished offset, else one past the highest taken.

    Offsets may have gaps (compaction, aborted transactions, control records): only those that were taken count.
    """

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, _Partition] = {}

    def begin(self, partition: TopicPartition, epoch: int) -> None:
        """Forget what an earlier epoch had in flight."""
        known = self._partitions.get(partition)
        if known is None or known.epoch < epoch:
            self._partitions[partition] = _Partition(epoch)

    def take(self, partition: TopicPartition, epoch: int, offset: int) -> bool:
        """Note an offset as in flight; False when this epoch, or a later one, has seen it already.

        A client may deliver a record again after a pause or a seek inside its assignment.
        """
        self.begin(partition, epoch)
        state = self._partitions[partition]
        if state.epoch != epoch or offset < state.high_water:
            return False
        state.in_flight.append(offset)
        state.high_water = offset + 1
        return True

    def finish(self, partition: TopicPartition, epoch: int, offset: int) -> None:
        """Note that an offset has its outcome. One of a passed epoch is ignored: its owner will see it again."""
        state = self._partitions.get(partition)
        if state is None or state.epoch != epoch:
            return
        state.finished.add(offset)
        while state.in_flight and state.in_flight[0] in state.finished:
            state.finished.discard(state.in_flight.popleft())

    def committable(self, partition: TopicPartition, epoch: int) -> int | None:
        """The next offset to read if we stopped now; None when nothing was taken or the epoch has passed."""
        state = self._partitions.get(partition)
        if state is None or state.epoch != epoch or state.high_water < 0:
            return None
        return state.in_flight[0] if state.in_flight else state.high_water
