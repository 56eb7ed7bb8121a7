"""A sink that keeps what was committed and can abort or be fenced."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.errors import AbortedError
from streamproc.records.record import CommitOffset, OutputRecord


@dataclass(frozen=True, slots=True)
class CommittedTransaction:
    """One transaction that became visible."""

    outputs: tuple[OutputRecord, ...]
    offsets: tuple[CommitOffset, ...]


class MemorySink:
    """``aborts`` transactions fail cleanly before the next one goes through; ``error`` is raised instead when set."""

    def __init__(self) -> None:
        self.transactions: list[CommittedTransaction] = []
        self.plain: list[tuple[CommitOffset, ...]] = []
        """Commits of offsets alone."""
        self._committed: dict[tuple[str, int], CommitOffset] = {}
        self.aborts = 0
        self.error: Exception | None = None

    def open(self) -> None:
        """Nothing to fence."""

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        """Keep a transaction, or fail as told."""
        del group_metadata
        if self.error is not None:
            raise self.error
        if self.aborts:
            self.aborts -= 1
            raise AbortedError("told to abort")
        if outputs:
            self.transactions.append(CommittedTransaction(tuple(outputs), tuple(offsets)))
        else:
            self.plain.append(tuple(offsets))
        self._committed.update(((offset.topic, offset.partition), offset) for offset in offsets)

    def close(self) -> None:
        """Nothing to give back."""

    def values(self, topic: str) -> list[OutputRecord]:
        """Everything visible in a topic, in order."""
        return [output for transaction in self.transactions for output in transaction.outputs if output.topic == topic]

    def committed(self, topic: str, partition: int) -> CommitOffset | None:
        """The committed offset of a partition, with its metadata."""
        return self._committed.get((topic, partition))

    def position(self, topic: str, partition: int) -> int | None:
        """The committed offset of a partition, once records were committed by it."""
        found = [
            offset.offset
            for transaction in self.transactions
            for offset in transaction.offsets
            if (offset.topic, offset.partition) == (topic, partition)
        ]
        return found[-1] if found else None
