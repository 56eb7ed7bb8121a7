"""What the lanes hold, and which records share a transaction there."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from streamproc.operate.audit.chain import Chain, Move
from streamproc.operate.audit.ledger import Coverage, LedgerRow
from streamproc.operate.place import Place
from streamproc.records.record import TopicPartition


@dataclass(frozen=True, slots=True)
class LaneRecord:
    """What a lane holds at one offset: which record it is, and after how many tries."""

    partition: TopicPartition
    """Of the origin."""
    offset: int
    attempts: int

    def began_in(self, stretches: Mapping[TopicPartition, range]) -> bool:
        """Whether its origin is inside of one of these."""
        stretch = stretches.get(self.partition)
        return stretch is not None and self.offset in stretch


Lanes = Mapping[TopicPartition, Mapping[int, LaneRecord]]
"""What each lane partition holds, by offset."""


def taken_together(
    held: Mapping[int, LaneRecord], rows: Collection[LedgerRow], windows: Mapping[TopicPartition, range]
) -> Iterator[tuple[LedgerRow, Sequence[int]]]:
    """Rows of one lane partition of which any record began in the windows, with the offsets that it holds of each."""
    offsets = sorted(held)
    for row in rows:
        inside = offsets[bisect_left(offsets, row.first) : bisect_right(offsets, row.last)]
        if any(held[offset].began_in(windows) for offset in inside):
            yield row, inside


def company(
    lanes: Lanes,
    coverage: Mapping[TopicPartition, Coverage],
    windows: Mapping[TopicPartition, range],
    stretches: Mapping[TopicPartition, range],
) -> Mapping[Place, Chain]:
    """Records outside of ``stretches`` that were taken from a lane together with one of the windows, and their moves.

    The ledger sums a transaction up as a whole, so what became of these is needed as well.
    """
    found: dict[Place, Chain] = {}
    for lane, held in lanes.items():
        rows = coverage[lane].rows if lane in coverage else ()
        for _, inside in taken_together(held, rows, windows):
            others = (held[offset] for offset in inside if not held[offset].began_in(stretches))
            found |= {Place(other.partition, other.offset): Chain() for other in others}
    for lane, held in lanes.items() if found else ():
        for offset, record in held.items():
            if (chain := found.get(Place(record.partition, record.offset))) is not None:
                chain.moves.append(Move(record.attempts, lane, offset))
    return found
