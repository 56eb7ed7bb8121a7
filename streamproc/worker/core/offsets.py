"""Offsets in flight, and the one offset per partition that may be committed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streamproc.records.record import TopicPartition


@dataclass(slots=True)
class _Epoch:
    """One assignment of one partition. It begins with the first offset taken; before, there is nothing to commit."""

    number: int
    following: int
    """One past the highest offset taken."""
    unfinished: dict[int, None] = field(default_factory=dict)
    """In the order of the offsets, which is the order they are taken in."""
    over: bool = False


class Offsets:
    """Committable = the lowest unfinished offset, else one past the highest taken.

    Offsets may have gaps (compaction, aborted transactions, control records): only those that were taken count.
    What is kept is what is unfinished, and one number for each partition that was ever taken from.
    """

    def __init__(self) -> None:
        self._latest: dict[TopicPartition, _Epoch] = {}

    def take(self, partition: TopicPartition, epoch: int, offset: int) -> bool:
        """Note an offset as in flight; False when it was taken in this epoch already, or the epoch has passed.

        A client may deliver a record again after a pause or a seek inside its assignment.
        """
        latest = self._latest.get(partition)
        if latest is None or latest.number < epoch:
            latest = self._latest[partition] = _Epoch(epoch, offset)
        if latest.number > epoch or latest.over or offset < latest.following:
            return False
        latest.following = offset + 1
        latest.unfinished[offset] = None
        return True

    def finish(self, partition: TopicPartition, epoch: int, offset: int) -> None:
        """Note that an offset has its outcome. One of a passed epoch is ignored: its owner will see it again."""
        if (current := self._current(partition, epoch)) is not None:
            current.unfinished.pop(offset, None)

    def committable(self, partition: TopicPartition, epoch: int) -> int | None:
        """The next offset to read if we stopped now; None when nothing was taken or the epoch has passed."""
        if (current := self._current(partition, epoch)) is None:
            return None
        return next(iter(current.unfinished), current.following)

    def end(self, partitions: Iterable[TopicPartition]) -> None:
        """Let their epochs pass: they were revoked or lost."""
        for partition in partitions:
            if (latest := self._latest.get(partition)) is not None:
                latest.over = True
                latest.unfinished = {}

    def _current(self, partition: TopicPartition, epoch: int) -> _Epoch | None:
        latest = self._latest.get(partition)
        return latest if latest is not None and latest.number == epoch and not latest.over else None
