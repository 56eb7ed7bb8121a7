"""The brake: whether so many records end as dead letters that something else than they must be wrong."""

from collections import Counter, deque
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
        self._ends: deque[str | None] = deque()
        self._row: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()
        self.on = False
        self.why = ""
        """What turned it on last."""
        self.reasons: Mapping[str, int] = {}
        """Of the dead letters that did, the most frequent first."""
        self.times = 0
        """How often it went on."""
        self.dead = 0
        """Dead letters among the last ``seen`` records."""
        self.seen = 0

    def ended(self, dead: str | None) -> None:
        """Count how a record ended: the reason of its dead letter, None for a result; a retry is no end.

        While it is on nothing is counted.
        """
        if self.on:
            return
        self._ends.append(dead)
        if dead is None:
            self._row.clear()
        else:
            self._row[dead] += 1
            self._dead[dead] += 1
        if len(self._ends) > self._settings.window and (forgotten := self._ends.popleft()) is not None:
            self._dead[forgotten] -= 1
        self.seen, self.dead = len(self._ends), self._dead.total()
        if (row := self._row.total()) >= self._settings.in_a_row:
            self._go_on(f"{row} records in a row became dead letters", self._row)
        elif self.seen == self._settings.window and self.dead > self._settings.ratio * self.seen:
            self._go_on(f"{self.dead} of the last {self.seen} records became dead letters", self._dead)

    def release(self) -> None:
        """Let records come again, and count from nothing."""
        self.on = False
        for counted in (self._ends, self._row, self._dead):
            counted.clear()
        self.dead = self.seen = 0

    def _go_on(self, why: str, reasons: Counter[str]) -> None:
        self.on = True
        self.why = why
        self.reasons = {reason: count for reason, count in reasons.most_common() if count}
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
