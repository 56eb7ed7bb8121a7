"""What names offsets that a topic does not have: the group's offset, and rows of the ledger."""

from collections.abc import Collection, Iterator, Mapping

from streamproc.operate.audit.finding import Fault, Finding
from streamproc.operate.audit.ledger import Coverage, LedgerRow
from streamproc.records.record import TopicPartition


def committed_outside(
    kept: Mapping[TopicPartition, range], committed: Mapping[TopicPartition, int]
) -> Iterator[Finding]:
    """Partitions that end before what the group has committed. ``kept`` was asked for after ``committed``."""
    for partition, following in committed.items():
        end = kept[partition].stop
        if following > end:
            detail = f"committed by the group, which has come to {following}; the partition ends at {end}"
            yield Finding(Fault.OUTSIDE, partition, end, following - 1, detail)


def rows_outside(
    coverage: Mapping[TopicPartition, Coverage],
    partitions: Collection[TopicPartition],
    ends: Mapping[TopicPartition, int],
) -> Iterator[Finding]:
    """Rows of these partitions that no transaction can have written. ``ends`` was asked for after the rows were there.

    A partition without an end is one that the topic does not have.
    """
    for partition in partitions:
        end = ends.get(partition, 0)
        for row in coverage[partition].rows if partition in coverage else ():
            if not 0 <= row.first <= row.last < end:
                first = max(row.first, end) if row.last >= end else row.first
                yield Finding(Fault.OUTSIDE, partition, first, row.last, _detail(row, end))


def _detail(row: LedgerRow, end: int) -> str:
    there = f"the partition ends at {end}" if end else "the partition has none"
    return f"the ledger sums up {row.counts.text} of the offsets {row.first} to {row.last}; {there}"
