"""Finding the ledger row of one offset by halves: the rows of one partition come in the order of its offsets."""

from collections.abc import Mapping

from streamproc.errors import PoisonError
from streamproc.kafka.columns import Columns
from streamproc.kafka.log import Log
from streamproc.kafka.messages import keyed
from streamproc.kafka.partitioner import partition_of
from streamproc.kafka.registry import Registry
from streamproc.operate.place import Place
from streamproc.operate.why.life import Committed
from streamproc.records.ledger import LedgerEntry
from streamproc.records.record import TopicPartition

_SCANNED = 1_000
"""Rows that are read one after the other rather than halved: about what one fetch brings."""
_NEAR = 10_000
"""Rows that are looked through behind the time of a record: those of five minutes on a lane, where 30 a second come."""
_CLOCK_MS = 60_000
"""How far a clock that dated a record may be before the broker's, which dates the ledger."""


class LedgerSearch:
    """Used by one thread."""

    def __init__(self, log: Log, registry: Registry, topic: str) -> None:
        self._log = log
        self._columns = Columns(registry, LedgerEntry, tuple(LedgerEntry.__dataclass_fields__))
        self._topic = topic

    def find(self, place: Place, since_ms: int | None) -> Committed | None:
        """The row that covers an offset of an input or a lane; None when there is none.

        It is looked for first behind the time of the record there (ms since the epoch), if that is known: a partition
        that has few rows among those of others cannot be halved, since each next row of it is far.
        """
        partitions = self._log.partitions(self._topic)
        expected = partition_of(_key(place), len(partitions))
        kept = self._log.bounds(partitions)
        # Elsewhere only after somebody changed the number of partitions.
        for partition in sorted(partitions, key=lambda one: one.partition != expected):
            near = self._near(place, partition, kept[partition], since_ms)
            if (found := near or self._halve(place, partition, kept[partition])) is not None:
                return found
        return None

    def kept(self) -> Mapping[TopicPartition, range]:
        """What the ledger still has."""
        return self._log.bounds(self._log.partitions(self._topic))

    def _near(self, place: Place, partition: TopicPartition, kept: range, since_ms: int | None) -> Committed | None:
        if since_ms is None or len(kept) <= _SCANNED:
            return None
        first = self._log.at([partition], max(0, since_ms - _CLOCK_MS))[partition]
        return self._next(place, partition, range(first, min(first + _NEAR, kept.stop)), place.offset)

    def _halve(self, place: Place, partition: TopicPartition, stretch: range) -> Committed | None:
        while len(stretch) > _SCANNED:
            middle = (stretch.start + stretch.stop) // 2
            found = self._next(place, partition, range(middle, stretch.stop))
            if found is None or found.row.first_offset > place.offset:
                stretch = range(stretch.start, middle)
            elif found.row.last_offset < place.offset:
                stretch = range(found.row_at.offset + 1, stretch.stop)
            else:
                return found
        return self._next(place, partition, stretch, place.offset)

    def _next(
        self, place: Place, partition: TopicPartition, stretch: range, offset: int | None = None
    ) -> Committed | None:
        """The first row of the place's partition in a stretch of the ledger; with ``offset`` the one that covers it."""
        key = _key(place)
        for some in self._log.read({partition: stretch}, keyed):
            for at, found, value in some:
                row = self._row(value) if found == key else None
                if row is not None and (offset is None or row.first_offset <= offset <= row.last_offset):
                    return Committed(Place(partition, at), row)
        return None

    def _row(self, value: bytes | None) -> LedgerEntry | None:
        try:
            return LedgerEntry(**self._columns.read(value))
        except PoisonError:
            return None


def _key(place: Place) -> bytes:
    """What a worker writes rows of this partition under."""
    return str(place.partition).encode()
