"""Micro-batches: the records taken from one poll, the unit of commit."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from streamproc.records.lane import Attempt
from streamproc.records.outcome import Outcome
from streamproc.records.record import Record, TopicPartition


@dataclass(frozen=True, slots=True)
class Taken:
    """One record on its way, taken under an epoch. ``taken_at`` is monotonic, in seconds."""

    record: Record
    epoch: int
    attempt: Attempt
    batch: int
    index: int
    taken_at: float
    probe: bool = False
    """Whether it is only tried: its outcome is thrown away."""

    @property
    def ident(self) -> tuple[int, int]:
        """Unique in this process, and sorted as the records were taken."""
        return self.batch, self.index


@dataclass(frozen=True, slots=True)
class Dropped:
    """No outcome: the partition went to another owner, who will see the record again."""


End = Outcome | Dropped
DROPPED = Dropped()


class MicroBatch:
    """The records of one commit and what became of each so far."""

    def __init__(self, ident: int, entries: tuple[Taken, ...]) -> None:
        self.ident = ident
        self.entries = entries
        self._ends: list[End | None] = [None] * len(entries)
        self._open = len(entries)

    @property
    def probe(self) -> bool:
        """Whether its records are only tried."""
        return self.entries[0].probe

    @property
    def finished(self) -> bool:
        """Whether every record has its end."""
        return self._open == 0

    def end(self, index: int) -> End | None:
        """What became of one record, None while it is on its way."""
        return self._ends[index]

    def settle(self, index: int, end: End) -> None:
        """Give a record its end. Raises ValueError for a second one: exactly one outcome each."""
        if self._ends[index] is not None:
            raise ValueError(f"record {index} of micro-batch {self.ident} has its outcome already")
        self._ends[index] = end
        self._open -= 1

    def drop(self, index: int) -> None:
        """Leave a record out, whatever its end was: an outcome that is never committed did not happen."""
        if self._ends[index] is None:
            self._open -= 1
        self._ends[index] = DROPPED

    def dropped(self, index: int) -> bool:
        """Whether a record was left out."""
        return self._ends[index] == DROPPED

    def outcomes(self) -> Iterator[tuple[Taken, End]]:
        """Records and ends in the order they were taken."""
        for entry, end in zip(self.entries, self._ends, strict=True):
            if end is not None:
                yield entry, end


class MicroBatches:
    """The open micro-batches, oldest first."""

    def __init__(self) -> None:
        self._open: dict[int, MicroBatch] = {}
        self._order: deque[MicroBatch] = deque()
        self._next = 0
        self.records = 0
        """In all of them together."""

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[MicroBatch]:
        return iter(self._order)

    def next_ident(self) -> int:
        """A number that no micro-batch of this process had before."""
        self._next += 1
        return self._next

    def open(self, entries: tuple[Taken, ...]) -> MicroBatch:
        """Add the newest micro-batch."""
        batch = MicroBatch(entries[0].batch, entries)
        self._open[batch.ident] = batch
        self._order.append(batch)
        self.records += len(entries)
        return batch

    def wanted(self, taken: Taken) -> bool:
        """Whether a record still waits for its end; stages drop what is not wanted any more."""
        batch = self._open.get(taken.batch)
        return batch is not None and batch.end(taken.index) is None

    def settle(self, taken: Taken, end: End) -> None:
        """Give a record its end."""
        self._open[taken.batch].settle(taken.index, end)

    def drop(self, taken: Taken) -> None:
        """Leave a record out."""
        self._open[taken.batch].drop(taken.index)

    def head(self) -> MicroBatch | None:
        """The oldest micro-batch, which is the next to commit."""
        return self._order[0] if self._order else None

    def close_head(self) -> MicroBatch:
        """Take the oldest one out after its commit."""
        batch = self._order.popleft()
        del self._open[batch.ident]
        self.records -= len(batch.entries)
        return batch

    def entries(self, partition: TopicPartition) -> Iterator[tuple[MicroBatch, Taken]]:
        """Records of one partition in open micro-batches, in offset order."""
        for batch in self._order:
            for entry in batch.entries:
                if entry.record.source == partition:
                    yield batch, entry
