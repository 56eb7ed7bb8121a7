"""What a client has fetched of one partition and not delivered yet."""

from collections import deque
from collections.abc import Callable

from streamproc.records.record import Record
from streamproc.testing.broker.log import PartitionLog


class Reader:
    """A position in a log, and the records that were fetched ahead of it."""

    __slots__ = ("_again", "_again_to", "_ahead", "_fetched_to", "_first", "paused", "position")

    def __init__(self, start: int) -> None:
        self._ahead: deque[Record] = deque()
        self._first = start
        self._fetched_to = start
        self.position = start
        """The offset of the next record to be delivered."""
        self.paused = False
        self._again: Callable[[], object] | None = None
        self._again_to = start

    def fetch(self, log: PartitionLog, most: int) -> bool:
        """Fill up to ``most`` records ahead; False when the log does not have the offset to go on from."""
        if self.paused or self._fetched_to == log.last_stable or len(self._ahead) >= most:
            return True
        if not log.start <= self._fetched_to <= log.end:
            return False
        found, self._fetched_to = log.fetch(self._fetched_to, most - len(self._ahead))
        self._ahead.extend(found)
        return True

    def take(self, most: int) -> list[Record]:
        """Deliver up to ``most``."""
        if self.paused:
            return []
        ahead = self._ahead
        if len(ahead) <= most:
            taken = list(ahead)
            ahead.clear()
        else:
            taken = [ahead.popleft() for _ in range(most)]
        if not ahead:
            self.position = self._fetched_to
        elif taken:
            self.position = taken[-1].offset + 1
        if self._again is not None and taken and taken[0].offset < self._again_to:
            self._again()
            self._again = None
        return taken

    @property
    def begun(self) -> bool:
        """Whether anything was delivered."""
        return self.position > self._first

    def at_end(self, log: PartitionLog) -> bool:
        """Whether everything that can be read was delivered."""
        return not self._ahead and self._fetched_to >= log.last_stable

    def pause(self, *, paused: bool) -> None:
        """Stand still, or go on. Either way what was fetched is thrown away, to be fetched again."""
        self.paused = paused
        self._go_to(self.position)

    def rewind(self, by: int, again: Callable[[], object]) -> None:
        """Deliver again, but nothing from before the assignment; ``again`` hears of it when it happens."""
        self._again, self._again_to = again, self.position
        self._go_to(max(self._first, self.position - by))

    def _go_to(self, offset: int) -> None:
        self._ahead.clear()
        self.position = self._fetched_to = offset
