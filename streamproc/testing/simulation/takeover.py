"""How long the records of a worker that died, or was given up, wait for the next one (G7)."""

from collections.abc import Callable
from dataclasses import dataclass

from streamproc.records.record import TopicPartition
from streamproc.settings import Settings, takeover_s
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.values import Commit
from streamproc.testing.simulation.fault import Fault, FaultKind
from streamproc.testing.simulation.past import Past
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.violation import Violation


@dataclass(frozen=True, slots=True)
class _Left:
    """A partition that nobody works on, since when, and by whose end."""

    since: float
    by: str


class Takeovers:
    """Watches partitions of the input that were left with records to do, until somebody commits one of them.

    Only what is left in an otherwise healthy world is watched: any other fault may hold up whoever takes over.
    Satisfies the broker's observers.
    """

    def __init__(self, settings: Settings, broker: MemoryBroker, past: Past, now: Callable[[], float]) -> None:
        self._input = settings.topics.recordings
        self._group = settings.kafka.group
        self._most_s = takeover_s(settings)
        self._broker = broker
        self._past = past
        self._now = now
        self._left: dict[TopicPartition, _Left] = {}
        self.seen = 0
        """How many partitions were taken over while nothing else was wrong."""
        self.longest_s = 0.0
        """The longest that one of them waited."""
        self._late: Violation | None = None
        """The first that waited for too long. Not raised when it is seen: that is inside the worker's own call."""

    def __call__(self, committed: Commit) -> None:
        """Somebody goes on with these partitions."""
        for moved in committed.offsets:
            if moved.offset <= (moved.before or 0):
                continue  # a plain commit: records wait for it
            left = self._left.pop(TopicPartition(moved.topic, moved.partition), None)
            if left is not None:
                self.seen += 1
                waited = self._now() - left.since
                self.longest_s = max(self.longest_s, waited)
                if waited > self._most_s:
                    place = f"{moved.topic}/{moved.partition}"
                    self._late = self._late or _too_long(place, waited, left)

    def forget(self) -> None:
        """Watch nobody who is left now: something else holds up whoever takes over."""
        self._left.clear()

    def struck(self, process: WorkerProcess, fault: Fault) -> None:
        """Hear of a fault before it strikes."""
        self.forget()
        now = self._now()
        away = any(outage.until > now for outage in self._past.outages)
        kept = any(one.until > now for one in self._past.struck)
        if fault.kind not in {FaultKind.CRASH, FaultKind.LOST} or process.source is None or away or kept:
            return
        for place in process.source.owned:
            if place.topic == self._input and self._unread(place):
                self._left[place] = _Left(now, f"{fault.kind} of {process.name}")

    def check(self) -> None:
        """Raise Violation when a partition waits for too long, or has."""
        if self._late is not None:
            raise self._late
        for place, left in self._left.items():
            waited = self._now() - left.since
            if waited > self._most_s:
                raise _too_long(str(place), waited, left)

    def _unread(self, place: TopicPartition) -> bool:
        records = self._broker.read(*place)
        committed = self._broker.committed(self._group, place)
        return bool(records) and (committed is None or committed.offset <= records[-1].offset)


def _too_long(place: str, waited: float, left: _Left) -> Violation:
    return Violation("G7", f"nobody went on with {place} for {waited:.3f} s after the {left.by}")
