"""Whether a dependency is down, or just one record's object is."""

from enum import Enum, auto

FAILURES_IN_A_ROW = 5
"""So many distinct objects failing one after the other are no coincidence, even while the canary sings."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0


class Health(Enum):
    """What is known of the dependency."""

    UP = auto()
    SUSPECT = auto()
    DOWN = auto()


class Canary:
    """Up until something fails; then a probe decides. Down is waited out with a growing pause between probes."""

    def __init__(self) -> None:
        self.health = Health.UP
        self._failures = 0
        self._wait_s = FIRST_WAIT_S
        self._probe_at = 0.0

    def failed(self, now: float) -> None:
        """An object failed for a reason that may be the dependency's."""
        self._failures += 1
        if self.health is Health.UP:
            self.health = Health.SUSPECT
            self._probe_at = now

    def worked(self) -> None:
        """An object was fetched."""
        self._failures = 0
        self._wait_s = FIRST_WAIT_S

    def probe_due(self, now: float) -> bool:
        """Whether a probe should be sent now; the answer is given once per probe."""
        if self.health is Health.UP or now < self._probe_at:
            return False
        self._probe_at = float("inf")
        return True

    def probed(self, now: float, *, works: bool) -> bool:
        """Take a probe's answer; True when the objects that failed are to blame, not the dependency."""
        blame = works and self.health is Health.SUSPECT and self._failures < FAILURES_IN_A_ROW
        if works and (blame or self.health is Health.DOWN):
            self.health = Health.UP
            self._failures = 0
            return blame
        self.health = Health.DOWN
        self._probe_at = now + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        return False
