"""Whether a dependency is down, or just one record's object is."""

from collections.abc import Hashable
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
        self._failed: set[Hashable] = set()
        self._warned = False
        """Objects failed in a row although the probe worked, and were given another try: they are to blame next."""
        self._wait_s = FIRST_WAIT_S
        self._probe_at = 0.0

    def failed(self, now: float, what: Hashable | None) -> None:
        """An object failed for a reason that may be the dependency's; None for one that the probe alone can judge."""
        if what is not None:
            self._failed.add(what)
        if self.health is Health.UP:
            self.health = Health.SUSPECT
            self._probe_at = now

    def worked(self) -> None:
        """An object was fetched."""
        self._failed.clear()
        self._warned = False
        self._wait_s = FIRST_WAIT_S

    def probe_due(self, now: float) -> bool:
        """Whether a probe should be sent now; the answer is given once per probe."""
        if self.health is Health.UP or now < self._probe_at:
            return False
        self._probe_at = float("inf")
        return True

    def probed(self, now: float, *, works: bool) -> bool:
        """Take a probe's answer; True when the objects that failed are to blame, not the dependency."""
        suspected = self.health is Health.SUSPECT
        in_a_row = len(self._failed) >= FAILURES_IN_A_ROW and not self._warned
        if works and not (suspected and in_a_row):
            self.health = Health.UP
            self._failed.clear()
            return suspected
        self._warned = works
        self.health = Health.DOWN
        self._probe_at = now + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        return False
