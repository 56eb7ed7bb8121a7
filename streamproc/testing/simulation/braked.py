"""Whether the brake goes on in time, and nothing more is taken while it is on: judged by what a worker commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Any

from streamproc.records.outcome import OutcomeKind
from streamproc.settings import Settings
from streamproc.testing.simulation.reading import End
from streamproc.testing.simulation.violation import Violation

_PAUSES_S = (0, 1, 2, 4, 8, 16, *[30] * 100)
"""Before each release that follows another one without a window of results in between: the first may come at once."""


@dataclass(slots=True)
class _Seen:
    """Of one worker."""

    since: float
    """When it committed its last result, or anything at all (virtual s)."""
    anew: float
    """When it had last committed a window of results."""
    results: int = 0
    """Since then."""
    times: int = 0
    """How often its brake went on."""
    row: int = 0
    """Dead letters since its last result, as they were committed."""
    times_before: int = 0
    """How often its brake had gone on when it had committed that window."""
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
        # A window as it was known: what a revoke leaves out of it is never committed.
        self._window = max(1, settings.brake.window - self._in_flight)
        self._seen: dict[str, _Seen] = {}

    @property
    def times(self) -> int:
        """How often brakes went on, all workers together."""
        return sum(seen.times for seen in self._seen.values())

    def check(self, worker: str, ends: Sequence[End], said: Any, now: float) -> None:
        """Check one commit, made now (virtual s)."""
        seen = self._seen.setdefault(worker, _Seen(now, now))
        seen.times = said["times"]
        period = said["times"] if said["on"] else 0
        if period != seen.period:
            seen.period, seen.while_on = period, 0
        seen.while_on += len(ends) if period else 0
        if seen.while_on > self._in_flight:
            raise Violation("brake", f"{worker} has committed {seen.while_on} records since its brake went on")
        for end in ends:
            if end.kind is OutcomeKind.RESULT:
                seen.row, seen.since, seen.results = 0, now, seen.results + 1
            if seen.results >= self._window:
                seen.results, seen.times_before, seen.anew = 0, said["times"], now
            seen.row += end.kind is OutcomeKind.DEAD_LETTER
        self._check_releases(worker, seen, now)

    def _check_releases(self, worker: str, seen: _Seen, now: float) -> None:
        """Check that releases without results come ever more slowly, and what they let become dead letters."""
        times, since_s = seen.times - seen.times_before, now - seen.anew
        if times > _releases(since_s) + 1:
            raise Violation("brake", f"{worker} went on {times} times in {since_s:.3f} s without a window of results")
        waited_s = now - seen.since
        # The time before the first release, and the one that has not come to its end, too.
        if seen.row > (_releases(waited_s) + 2) * self._most:
            raise Violation(
                "brake", f"{worker} wrote {seen.row} dead letters in {waited_s:.3f} s without a result in between"
            )


def _releases(waited_s: float) -> int:
    """The most that there may be in so long."""
    return sum(1 for _ in takewhile(lambda at: at <= waited_s, accumulate(_PAUSES_S)))
