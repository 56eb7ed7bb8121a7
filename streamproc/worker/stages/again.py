"""Again: in strict order a record that failed for now waits in place, and is tried anew from its event on."""

from collections.abc import Callable
from dataclasses import replace

from streamproc.records.lane import Attempt
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.retry import RetryPolicy
from streamproc.worker.core.strikes import Strikes


class Again:
    """Holds what waits. It has no outcome meanwhile, so nothing behind it in its partition is committed before it."""

    def __init__(self, retry: RetryPolicy, batches: MicroBatches) -> None:
        self._retry = retry
        self._batches = batches
        self._failed: list[tuple[Taken, float]] = []
        self._waiting: list[tuple[float, Taken]] = []
        self.give: Callable[[Taken, Instant], None]
        self.strikes: Strikes

    def keep(self, taken: Taken, attempt: Attempt) -> bool:
        """Keep a record whose try just failed, which ``attempt`` counts; False when it is not to be tried again."""
        wait_s = self._retry.wait_s(attempt.attempts)
        if wait_s is None:
            return False
        self._failed.append((replace(taken, attempt=attempt), wait_s))
        self.strikes.rest(taken.record.source, taken.epoch)
        return True

    def keeps(self, taken: Taken) -> bool:
        """Whether a record waits here."""
        return any(taken.ident == one.ident for one, _ in self._failed) or any(
            taken.ident == one.ident for _, one in self._waiting
        )

    def step(self, now: Instant) -> bool:
        """Give on what has waited long enough, oldest first."""
        self._waiting += [(now.mono + wait_s, taken) for taken, wait_s in self._failed]
        self._failed = []
        self._waiting = [one for one in self._waiting if self._batches.wanted(one[1])]
        came = sorted((one for one in self._waiting if one[0] <= now.mono), key=lambda one: one[1].ident)
        due = [one for one in came if self.strikes.again(one[1].record.source, one[1].epoch)]
        self._waiting = [one for one in self._waiting if one not in due]
        for _, taken in due:
            self.give(taken, now)
        return bool(due)
