"""Circuit breaker: stop asking a server that does not answer, so that its time-outs are not paid again and again."""

from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to stop asking, and for how long."""

    failures: int = 3
    """In a row. More than one, so that a lost connection alone does not switch the tier off."""
    rest_s: float = 5
    """At a time-out of half a second, a dead server costs a tenth of one thread."""


class Breaker:
    """Closed while calls succeed; open after ``failures`` in a row; one call in ``rest_s`` tries again. Thread-safe."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._failed = 0
        self._next_try = 0.0
        self._lock = Lock()

    @property
    def open(self) -> bool:
        """Whether so many failed in a row, and none has succeeded since."""
        with self._lock:
            return self._failed >= self._policy.failures

    def allows(self, now: float) -> bool:
        """Whether to call now (monotonic seconds). An allowed call on an open breaker is the only one of its rest."""
        with self._lock:
            if self._failed < self._policy.failures:
                return True
            if now < self._next_try:
                return False
            self._next_try = now + self._policy.rest_s
            return True

    def failed(self, now: float) -> bool:
        """Note a failure. Returns whether it opened the breaker."""
        with self._lock:
            self._failed += 1
            if self._failed < self._policy.failures:
                return False
            self._next_try = now + self._policy.rest_s
            return self._failed == self._policy.failures

    def succeeded(self) -> bool:
        """Note a success. Returns whether it closed an open breaker."""
        with self._lock:
            was_open = self._failed >= self._policy.failures
            self._failed = 0
            return was_open
