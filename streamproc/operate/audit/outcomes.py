"""What the outputs say became of each offset of one partition."""

from array import array
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from streamproc.operate.audit.chain import Chain, End, Move
from streamproc.operate.place import Place
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import TopicPartition

_HOLE, _OPEN, _RESULT, _DEAD_LETTER, _CHAIN = range(5)
_ENDS = {OutcomeKind.RESULT: _RESULT, OutcomeKind.DEAD_LETTER: _DEAD_LETTER}
_KINDS = {number: kind for kind, number in _ENDS.items()}
ID_BYTES = 36
"""Of a UUID as text: what a result has, and room for it."""
BYTES_PER_OFFSET = 1 + ID_BYTES + 8
_OFFSET_BITS = 44
"""Of the eight bytes that say where an end stands: the rest is its partition, which is below a million."""


class Outcomes:
    """One place for each offset of a stretch; ``BYTES_PER_OFFSET`` of memory each, whatever the records hold.

    Told first which offsets have a record, then what became of them, in any order. ``topics`` says where ends stand.
    Of offsets before ``kept_from`` nobody can tell any more which had one: those had that an outcome names.
    """

    def __init__(self, stretch: range, topics: Mapping[OutcomeKind, str], kept_from: int = 0) -> None:
        self.stretch = stretch
        self.kept_from = kept_from
        self._topics = topics
        self.chains: dict[int, Chain] = {}
        """Of offsets with a retry, or with more than one end."""
        self.without_record: dict[int, str] = {}
        """Offsets that an outcome names although they have no record, and that outcome."""
        gone = len(range(stretch.start, min(stretch.stop, kept_from)))
        self._kinds = bytearray([_OPEN]) * gone + bytearray(len(stretch) - gone)
        self._ids = bytearray(ID_BYTES * len(stretch))
        self._places = array("Q", bytes(8 * len(stretch)))

    def records(self, offsets: NDArray[np.int64]) -> None:
        """Note that these offsets have a record."""
        np.frombuffer(self._kinds, np.uint8)[offsets - self.stretch.start] = _OPEN

    def move(self, offset: int, move: Move) -> None:
        """Note a retry of the record at ``offset``, which is inside the stretch."""
        if (chain := self._chain(offset, f"a retry on {move.lane}/{move.offset}")) is not None:
            chain.moves.append(move)

    def end(self, offset: int, end: End) -> None:
        """Note a result or a dead letter of the record at ``offset``, which is inside the stretch."""
        place = offset - self.stretch.start
        if self._kinds[place] == _OPEN:
            self._kinds[place] = _ENDS[end.kind]
            self._ids[place * ID_BYTES : (place + 1) * ID_BYTES] = end.result_id.encode().ljust(ID_BYTES)
            self._places[place] = end.at.partition.partition << _OFFSET_BITS | end.at.offset
        elif (chain := self._chain(offset, f"a {end.kind.replace('_', ' ')} at {end.at}")) is not None:
            chain.ends.append(end)

    def results(
        self, offsets: NDArray[np.int64], ids: NDArray[np.uint8], places: NDArray[np.uint64]
    ) -> NDArray[np.bool_]:
        """Note results of offsets inside the stretch all at once, as ``end`` does; which were noted.

        ``ids`` has the bytes of a result_id for each, ``places`` partition and offset where it stands. Those are
        left whose offset has no record, has an outcome already or comes a second time.
        """
        if not len(offsets):
            return np.zeros(0, np.bool_)
        at, kinds = offsets - self.stretch.start, np.frombuffer(self._kinds, np.uint8)
        noted = np.zeros(len(at), np.bool_)
        noted[np.unique(at, return_index=True)[1]] = True
        noted &= kinds[at] == _OPEN
        at = at[noted]
        kinds[at] = _RESULT
        np.frombuffer(self._ids, np.uint8).reshape(-1, ID_BYTES)[at] = ids[noted]
        stand = places[noted]
        np.frombuffer(self._places, np.uint64)[at] = stand[:, 0] << _OFFSET_BITS | stand[:, 1]
        return noted

    def has_record(self, offset: int) -> bool:
        """Whether an offset of the stretch has one."""
        return self._kinds[offset - self.stretch.start] != _HOLE

    def count(self, window: range) -> int:
        """Records in a part of the stretch."""
        start, stop = window.start - self.stretch.start, window.stop - self.stretch.start
        return len(window) - self._kinds.count(_HOLE, start, stop)

    def ends(self, window: range, kind: OutcomeKind) -> int:
        """Records in a part of the stretch that have an end of this kind."""
        start, stop = window.start - self.stretch.start, window.stop - self.stretch.start
        chained = (chain for offset, chain in self.chains.items() if offset in window)
        return self._kinds.count(_ENDS[kind], start, stop) + sum(
            any(end.kind is kind for end in chain.ends) for chain in chained
        )

    def open(self, window: range) -> Iterator[range]:
        """Offsets in a part of the stretch that have a record and nothing else, as stretches."""
        base = self.stretch.start
        found = self._kinds.find(_OPEN, window.start - base, window.stop - base)
        while found >= 0:
            end = found + 1
            while end < window.stop - base and self._kinds[end] == _OPEN:
                end += 1
            yield range(base + found, base + end)
            found = self._kinds.find(_OPEN, end, window.stop - base)

    def line(self, offset: int) -> str | None:
        """The offset's line in the ledger's digest: empty for a hole, None when the outputs do not say one thing."""
        place = offset - self.stretch.start
        kind = self._kinds[place]
        if kind == _HOLE:
            return ""
        if kind == _OPEN:
            return "" if offset < self.kept_from else None
        if kind == _CHAIN:
            outcome = self.chains[offset].outcome_after(0)
            return None if outcome is None else f"{offset}:{outcome}\n"
        if kind == _DEAD_LETTER:
            return f"{offset}:{OutcomeKind.DEAD_LETTER}:\n"
        return f"{offset}:{OutcomeKind.RESULT}:{self._id(place)}\n"

    def _chain(self, offset: int, what: str) -> Chain | None:
        """The chain of an offset, which begins with the end that it may have already."""
        place = offset - self.stretch.start
        kind = self._kinds[place]
        if kind == _HOLE:
            self.without_record[offset] = what
            return None
        if kind == _CHAIN:
            return self.chains[offset]
        chain = self.chains[offset] = Chain()
        if kind != _OPEN:
            chain.ends.append(End(_KINDS[kind], self._id(place), 0, self._place(_KINDS[kind], place)))
        self._kinds[place] = _CHAIN
        return chain

    def _place(self, kind: OutcomeKind, place: int) -> Place:
        partition, offset = divmod(self._places[place], 1 << _OFFSET_BITS)
        return Place(TopicPartition(self._topics[kind], partition), offset)

    def _id(self, place: int) -> str:
        return self._ids[place * ID_BYTES : (place + 1) * ID_BYTES].decode().rstrip()
