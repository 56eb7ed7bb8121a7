"""What has struck in a run: whom, where, and for how long."""

from dataclasses import dataclass, field

from streamproc.testing.simulation.fault import Fault
from streamproc.testing.simulation.process import WorkerProcess


@dataclass(slots=True)
class Struck:
    """A fault that struck a process. ``until`` is when it let go of the thread that it struck (virtual s)."""

    process: WorkerProcess
    fault: Fault
    since: float
    until: float

    def lasted_s(self, now: float) -> float:
        """For how long it kept that thread until now."""
        return min(self.until, now) - self.since


@dataclass(slots=True)
class Outage:
    """A time in which a dependency was away."""

    what: str
    since: float
    until: float


@dataclass(slots=True)
class Past:
    """Everything that struck, in order."""

    struck: list[Struck] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    healed_at: float = 0.0
    """When everything was healed (virtual s)."""

    def of(self, process: WorkerProcess) -> list[Struck]:
        """What struck one process."""
        return [one for one in self.struck if one.process is process]

    def away_s(self, what: str) -> float:
        """For how long a dependency was away, all outages together."""
        return sum(outage.until - outage.since for outage in self.outages if outage.what == what)

    def heal(self, now: float) -> None:
        """End every outage."""
        self.healed_at = now
        for outage in self.outages:
            outage.until = min(outage.until, now)
