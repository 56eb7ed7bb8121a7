"""The brake: whether so many records end as dead letters that something else than they must be wrong."""

from collections import deque
from collections.abc import Mapping, Sequence

from streamproc.records.record import Record, TopicPartition
from streamproc.settings import BrakeSettings

MOST_CANDIDATES = 3


class Brake:
    """On when over ``ratio`` of the last ``window`` records ended as dead letters, or ``in_a_row`` did.

    Until ``window`` records have ended only a row counts: one bad record of one is no ratio. Any thread may read the
    public attributes.
    """

    def __init__(self, settings: BrakeSettings) -> None:
        self._settings = settings
        self._ends: deque[bool] = deque()
        self._row = 0
        self.on = False
        self.why = ""
        """What turned it on last."""
        self.times = 0
        """How often it went on."""
        self.dead = 0
        """Dead letters among the last ``seen`` records."""
        self.seen = 0

    def ended(self, *, dead: bool) -> None:
        """Count how a record ended, a retry not being an end. While it is on nothing is counted."""
        if self.on:
            return
        self._ends.append(dead)
        self._row = self._row + 1 if dead else 0
        forgotten = self._ends.popleft() if len(self._ends) > self._settings.window else False
        self.dead += dead - forgotten
        self.seen = len(self._ends)
        if self._row >= self._settings.in_a_row:
            self._go_on(f"{self._row} records in a row became dead letters")
        elif self.seen == self._settings.window and self.dead > self._settings.ratio * self.seen:
            self._go_on(f"{self.dead} of the last {self.seen} records became dead letters")

    def release(self) -> None:
        """Let records come again, and count from nothing."""
        self.on = False
        self._ends.clear()
        self._row = self.dead = self.seen = 0

    def _go_on(self, why: str) -> None:
        self.on = True
        self.why = why
        self.times += 1


def candidates(
    newest: Sequence[Record], seen: Mapping[TopicPartition, int], since_ms: int, most: int = MOST_CANDIDATES
) -> Sequence[Record]:
    """Which of the newest record of each partition are to be tried, the newest of them first.

    Those that came since the last probe, if there are any, which had ``seen`` the newest offset of each partition; of a
    partition that it had not, those that came since the brake went on at ``since_ms`` by their own time. Else all.
    """
    fresh = [
        record
        for record in newest
        if (record.offset > seen[record.source] if record.source in seen else record.timestamp_ms >= since_ms)
    ]
    return sorted(fresh or newest, key=lambda record: (-record.timestamp_ms, record.source))[:most]
