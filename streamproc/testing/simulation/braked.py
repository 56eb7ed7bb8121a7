"""Whether the brake goes on in time, and nothing more is taken while it is on: judged by what a worker commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.records.outcome import OutcomeKind
from streamproc.settings import Settings
from streamproc.testing.simulation.reading import End
from streamproc.testing.simulation.violation import Violation


@dataclass(slots=True)
class _Seen:
    """Of one worker."""

    times: int = 0
    """How often its brake went on."""
    row: int = 0
    """Dead letters since its last result, as they were committed."""
    times_before: int = 0
    """How often its brake had gone on when it committed that."""
    period: int = 0
    """The number of the time for which its brake is on; 0 while it is off."""
    while_on: int = 0
    """Records that it has committed meanwhile."""


class Braked:
    """Told of each commit what it held and what the worker says of its brake just then."""

    def __init__(self, settings: Settings) -> None:
        flow = settings.flow
        self._in_flight = flow.micro_batches * flow.micro_batch_records
        # What ends out of turn is in flight together: at either end of a row results may have come in between.
        self._most = settings.brake.in_a_row + 2 * self._in_flight
        self._seen: dict[str, _Seen] = {}

    @property
    def times(self) -> int:
        """How often brakes went on, all workers together."""
        return sum(seen.times for seen in self._seen.values())

    def check(self, member: str, ends: Sequence[End], said: Any) -> None:
        """Check one commit."""
        seen = self._seen.setdefault(member, _Seen())
        seen.times = said["times"]
        period = said["times"] if said["on"] else 0
        if period != seen.period:
            seen.period, seen.while_on = period, 0
        seen.while_on += len(ends) if period else 0
        if seen.while_on > self._in_flight:
            raise Violation("brake", f"{member} has committed {seen.while_on} records since its brake went on")
        for end in ends:
            if end.kind is OutcomeKind.RESULT:
                seen.row, seen.times_before = 0, said["times"]
            seen.row += end.kind is OutcomeKind.DEAD_LETTER
        # The time before the first of them, and the one that has not come to its end, too.
        if seen.row > (said["times"] - seen.times_before + 2) * self._most:
            raise Violation(
                "brake", f"{member} wrote {seen.row} dead letters in a row, its brake went on {said['times']} times"
            )
