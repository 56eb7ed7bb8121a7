"""The log of one partition: offsets, control records, aborted data, and what readers see of it."""

from typing import Literal

from streamproc.records.record import Headers, Record, TopicPartition

Isolation = Literal["read_committed", "read_uncommitted"]


class Transaction:
    """What the logs know of a transaction: whether it goes on and, after that, whether it counts."""

    __slots__ = ("committed", "open")

    def __init__(self) -> None:
        self.open = True
        self.committed = False


class PartitionLog:
    """Two lists beside each other: the record at an offset, and the transaction that wrote it.

    A control record is neither a record nor part of a transaction here, but it takes an offset; so does a hole that
    compaction left.
    """

    __slots__ = ("_base", "_name", "_open", "_records", "_writers", "retention_ms")

    def __init__(self, name: TopicPartition, retention_ms: int | None) -> None:
        self._name = name
        self.retention_ms = retention_ms
        self._base = 0
        self._records: list[Record | None] = []
        self._writers: list[Transaction | None] = []
        self._open: dict[Transaction, int] = {}

    @property
    def start(self) -> int:
        """The first offset that is still there."""
        return self._base

    @property
    def end(self) -> int:
        """The offset of the next record."""
        return self._base + len(self._records)

    @property
    def last_stable(self) -> int:
        """The offset of the first record whose fate is open, else the end."""
        for first in self._open.values():
            return max(first, self._base)
        return self._base + len(self._records)

    def append(
        self, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: Headers, writer: Transaction | None
    ) -> Record:
        """Write a record at the end."""
        offset = self._base + len(self._records)
        record = Record(self._name.topic, self._name.partition, offset, timestamp_ms, key, value, headers)
        if writer is not None and writer not in self._open:
            self._open[writer] = offset
        self._records.append(record)
        self._writers.append(writer)
        return record

    def mark(self, writer: Transaction) -> None:
        """Write the control record that ends a transaction here."""
        self._open.pop(writer, None)
        self._records.append(None)
        self._writers.append(None)

    def fetch(self, offset: int, most: int, isolation: Isolation = "read_committed") -> tuple[list[Record], int]:
        """Up to ``most`` records from ``offset`` on, and the offset to go on from.

        The offset must lie between ``start`` and ``end``.
        """
        committed = isolation == "read_committed"
        place = offset - self._base
        stop = (self.last_stable - self._base) if committed else len(self._records)
        records, writers = self._records, self._writers
        found: list[Record] = []
        while place < stop and len(found) < most:
            record = records[place]
            if record is not None:
                writer = writers[place]
                if writer is None or writer.committed or not committed:
                    found.append(record)
            place += 1
        return found, max(place + self._base, offset)

    def delete_before(self, offset: int) -> None:
        """Let everything before ``offset`` be gone."""
        count = min(max(offset - self._base, 0), len(self._records))
        del self._records[:count]
        del self._writers[:count]
        self._base += count

    def remove(self, offset: int) -> None:
        """Leave a hole, as compaction does."""
        self._records[offset - self._base] = None

    def pass_retention(self, now_ms: int) -> None:
        """Let go of what is older than the topic keeps."""
        if self.retention_ms is None:
            return
        oldest = now_ms - self.retention_ms
        count = 0
        for place, record in enumerate(self._records):
            if record is not None:
                if record.timestamp_ms >= oldest:
                    break
                count = place + 1
        self.delete_before(self._base + count)
