"""Strikes: which record kills whoever takes it, told from the marks of owners that ended with it in flight."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from streamproc.errors import Fatal
from streamproc.records.mark import Mark, read_mark
from streamproc.records.record import CommitOffset, TopicPartition

CAREFUL_AFTER = 2
"""Crashes without progress; one alone is a machine that was switched off."""
CONDEMNED_AFTER = 3
"""Strikes."""
NARROWER = 16
"""After a crash a partition has a part of its window, up to where the last owner had: what kills is then among few,
and few are gone through one by one."""
NOBODYS_FAULT = frozenset(
    {
        Fatal.REFUSED,
        Fatal.ABORTED_AGAIN,
        Fatal.DECODERS_FAIL,
        Fatal.DEVICE_FAILS,
        Fatal.MODEL_CHANGED,
    }
)
"""Ends of a worker that name no record, and leave it able to say so. Who was fenced, or does not know what became of a
transaction, cannot; what no code expected may be one record's doing."""


class Position(NamedTuple):
    """A plain commit for one partition."""

    source: TopicPartition
    epoch: int
    offset: int
    mark: Mark


@dataclass(slots=True)
class _Owned:
    """One assignment of one partition."""

    epoch: int
    offset: int
    """Committed."""
    crashes: int
    strikes: int
    """Of the record at ``offset``, earned under former owners."""
    suspected_to: int
    """Offsets before this were in flight under an owner that crashed."""
    careful: bool
    said: Mark | None = None
    """What we committed last."""
    wanted: int | None = None
    """A record that waits for this partition's next plain commit."""
    struck: bool = False
    """Whether the record at ``offset`` has been given the strike that it keeps if we end now."""
    asked: bool = False
    """Whether a plain commit is on its way."""
    closing: bool = False

    @property
    def open(self) -> int | None:
        """As we committed it; None before the first time, and once it is let go of."""
        return None if self.said is None else self.said.open


class Strikes:
    """Says which records may be taken, and what each commit says beside its offsets.

    ``window`` is how many offsets past its committed one a partition may have in flight. ``idle`` says whether nothing
    at all is in flight, ``calm`` whether all that is has its outcome or waits to be tried again, ``in_flight`` whether
    something of a partition is.
    """

    def __init__(
        self,
        window: int,
        idle: Callable[[], bool],
        calm: Callable[[], bool],
        in_flight: Callable[[TopicPartition], bool],
    ) -> None:
        self._window = window
        self._narrow = max(1, window // NARROWER)
        self._idle = idle
        self._calm = calm
        self._in_flight = in_flight
        self._owned: dict[TopicPartition, _Owned] = {}
        self._alone: TopicPartition | None = None
        """Whose record is in flight and lets no other be."""
        self._next: TopicPartition | None = None
        """Whose record is to be taken alone, once nothing is in flight: no other is taken before it."""
        self._resting: TopicPartition | None = None
        """Whose record was alone, and waits to be tried again."""
        self._rising = False
        """Whether its next try has come, for which all others have to rest."""

    # --- assignments -------------------------------------------------------------------------------------------------

    def begin(self, start: CommitOffset, epoch: int) -> bool:
        """Own a partition from here on; whether its records are taken one at a time."""
        found = read_mark(start.metadata)
        crashed = found.open is not None and found.open > start.offset
        crashes = found.crashes + crashed
        suspected_to = max(found.open or 0, start.offset + bool(found.strikes))
        careful = (crashes >= CAREFUL_AFTER or found.strikes > 0) and suspected_to > start.offset
        self._owned[TopicPartition(start.topic, start.partition)] = _Owned(
            epoch, start.offset, crashes, found.strikes, suspected_to, careful
        )
        return careful

    def crashed(self, source: TopicPartition) -> bool:
        """Whether the last owner of a partition ended with records in flight, and nothing has come of them since."""
        owned = self._owned.get(source)
        return owned is not None and owned.crashes > 0

    @property
    def careful(self) -> bool:
        """Whether records of some partition are taken alone."""
        return any(owned.careful and owned.offset < owned.suspected_to for owned in self._owned.values())

    def drained(self, ends: Mapping[TopicPartition, int]) -> None:
        """Suspect nothing past where partitions ended when their last record was taken: it was in flight of nobody."""
        for source, end in ends.items():
            if (owned := self._owned.get(source)) is not None:
                owned.suspected_to = min(owned.suspected_to, max(owned.offset, end))

    def end(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget partitions that are somebody else's."""
        for partition in partitions:
            self._owned.pop(partition, None)
            if self._alone == partition:
                self._alone = None
            if self._next == partition:
                self._next = None
            if self._resting == partition:
                self._resting, self._rising = None, False

    def passed(self, source: TopicPartition, epoch: int) -> None:
        """Forget an epoch under which nothing may be committed any more."""
        if self._current(source, epoch) is not None:
            self.end([source])

    def close(self, partitions: Iterable[TopicPartition]) -> None:
        """Take nothing more of these; let go of what was opened once nothing of them is in flight."""
        for partition in partitions:
            if (owned := self._owned.get(partition)) is not None:
                owned.closing = True
            if self._next == partition:
                self._next = None

    def closed(self, partition: TopicPartition) -> bool:
        """Whether the next owner finds that nothing of a partition is in flight."""
        owned = self._owned.get(partition)
        return owned is None or (owned.closing and not owned.asked and owned.said in {None, _last_word(owned)})

    def stop(self) -> None:
        """Open nothing more: nothing is taken any more."""
        for owned in self._owned.values():
            owned.wanted = None

    def acquit(self) -> None:
        """Close all, with what is in flight: it is left to others, and what ends us is no fault of it."""
        self._in_flight = lambda _: False
        self.close(self._owned)

    # --- records -----------------------------------------------------------------------------------------------------

    def came(self, source: TopicPartition, epoch: int, offset: int) -> None:
        """Note that a record waits, so that one plain commit opens all the partitions of one poll."""
        owned = self._current(source, epoch)
        if owned is not None and owned.open is None and not owned.careful and owned.wanted is None:
            owned.wanted = offset

    def take(self, source: TopicPartition, epoch: int, offset: int) -> bool:
        """Whether a record may go on now; if it may, it is taken to be in flight.

        Records of one partition are asked about in their order.
        """
        if self._alone is not None or self._rising or self._next not in {None, source}:
            return False
        owned = self._current(source, epoch)
        if owned is None or self.condemned(source, epoch, offset):
            return True  # no commit will count it, or nothing will be done with it
        if owned.careful and offset < owned.suspected_to:
            if owned.struck and owned.offset == offset and self._idle():
                self._alone, self._next = source, None
                return True
            if self._resting is not None:
                return False  # what rests is to be done first, and others go on meanwhile
            self._next = source
        elif owned.open is not None and offset < owned.open:
            return True
        owned.wanted = offset
        return False

    def last(self, source: TopicPartition, epoch: int, offset: int) -> bool:
        """Whether a record is to be taken alone and nobody has asked for it: then others that wait may go before it."""
        owned = self._current(source, epoch)
        alone = owned is not None and owned.careful and offset < owned.suspected_to
        return alone and source != self._next and not self.condemned(source, epoch, offset)

    def rest(self, source: TopicPartition, epoch: int) -> bool:
        """Note that a record waits to be tried again. If it was alone, others go on, and what ends us is not its.

        Whether it was. One that waits already may say so again: if its next try had come, it does not come now.
        """
        if source not in {self._alone, self._resting} or self._current(source, epoch) is None:
            return False
        self._alone, self._resting, self._rising = None, source, False
        return True

    def again(self, source: TopicPartition, epoch: int) -> bool:
        """Whether a record that waited may be tried again now; one that was alone is so again, and bears a strike."""
        owned = self._current(source, epoch)
        if owned is None or source != self._resting:
            return self._alone is None and not self._rising
        self._rising = True
        if owned.struck and not owned.asked and self._calm():
            self._alone, self._resting, self._rising = source, None, False
        return not self._rising

    def condemned(self, source: TopicPartition, epoch: int, offset: int) -> bool:
        """Whether a record was alone in flight each time that an owner ended, often enough."""
        owned = self._current(source, epoch)
        return owned is not None and owned.strikes >= CONDEMNED_AFTER and offset == owned.offset

    # --- commits -----------------------------------------------------------------------------------------------------

    def due(self) -> list[Position]:
        """Plain commits that have to come before anything else can; each is handed over once."""
        found = []
        for source, owned in self._owned.items():
            mark = None if owned.asked else self._due(source, owned)
            if mark is not None:
                owned.asked = True
                found.append(Position(source, owned.epoch, owned.offset, mark))
        return found

    def mark(self, source: TopicPartition, epoch: int, offset: int) -> Mark:
        """What to commit beside an offset up to which records have their outcomes."""
        owned = self._current(source, epoch)
        return Mark() if owned is None else Mark(self._open(owned, offset, crashes=0))

    def committed(self, source: TopicPartition, epoch: int, offset: int, mark: Mark, *, progress: bool) -> None:
        """Note what is committed now; ``progress`` when records have their outcomes by it."""
        owned = self._current(source, epoch)
        if owned is None:
            return
        owned.said, owned.wanted = mark, None
        if progress:
            owned.offset, owned.crashes, owned.strikes, owned.struck = offset, 0, 0, False
            if self._alone == source:
                self._alone = None
        else:
            owned.asked, owned.struck = False, mark.strikes > owned.strikes

    def undone(self, source: TopicPartition, epoch: int) -> None:
        """Note that a plain commit did not come to be: what is to be said is due as before."""
        if (owned := self._current(source, epoch)) is not None:
            owned.asked = False

    def _due(self, source: TopicPartition, owned: _Owned) -> Mark | None:
        """What a plain commit at ``owned.offset`` has to say now, if anything."""
        if owned.closing:
            last = _last_word(owned)
            return None if owned.said in {None, last} or self._in_flight(source) else last
        if source == self._resting:
            wanted = self._calm() if self._rising else owned.struck
            due = wanted and owned.struck is not self._rising
            return Mark(owned.suspected_to, owned.crashes, owned.strikes + self._rising) if due else None
        if owned.wanted is None:
            return None
        if not (owned.careful and owned.wanted < owned.suspected_to):
            reached = max(owned.offset, owned.wanted)
            renewed = Mark(self._open(owned, reached, owned.crashes), owned.crashes, owned.strikes)
            return None if self._in_flight(source) else renewed
        if not self._idle():
            return None
        if owned.wanted != owned.offset:
            # Offsets between hold no record. The strikes were another's, which is not there any more.
            owned.offset, owned.strikes = owned.wanted, 0
        return Mark(owned.suspected_to, owned.crashes, owned.strikes + 1)

    def _open(self, owned: _Owned, offset: int, crashes: int) -> int:
        """One past the last that may be in flight when this offset is committed; what is in flight stays inside."""
        suspected = offset < owned.suspected_to
        if suspected and owned.careful:
            until = owned.suspected_to
        else:
            until = offset + (self._narrow if suspected or crashes else self._window)
        return max(until, owned.open or 0)

    def _current(self, source: TopicPartition, epoch: int) -> _Owned | None:
        owned = self._owned.get(source)
        return owned if owned is not None and owned.epoch == epoch else None


def _last_word(owned: _Owned) -> Mark:
    """What is left to the next owner when nothing is in flight.

    A strike for a try that did not kill is taken back. Who takes records alone leaves open what is suspected, so that
    the next one does too; that one counts a crash for it, which is why one less is said.
    """
    if owned.careful and owned.offset < owned.suspected_to:
        return Mark(owned.suspected_to, max(owned.crashes, CAREFUL_AFTER) - 1, owned.strikes)
    return Mark(None, owned.crashes, owned.strikes)
