"""The brake of workers that run, asked for and released over their own endpoints."""

from dataclasses import dataclass

from streamproc.operate.endpoint import ask, checked
from streamproc.telemetry.http import RELEASE


@dataclass(frozen=True, slots=True)
class WorkerBrake:
    """What a worker says of its brake."""

    worker: str
    """HOST:PORT."""
    state: str
    on: bool
    since: str | None
    """UTC, in ISO 8601; None while it is off."""
    why: str | None
    dead_letters: int
    of_the_last: int
    times: int
    """How often it went on since the worker started."""

    @property
    def line(self) -> str:
        """For people."""
        numbers = f"{self.dead_letters} of the last {self.of_the_last} records"
        often = "once" if self.times == 1 else f"{self.times} times"
        if self.on:
            return f"{self.worker}  on since {self.since}: {self.why} ({numbers}); on {often} since the worker started"
        times = f"; it was on {often}" if self.times else ""
        return f"{self.worker}  off: {numbers} are dead letters{times}"


def look(worker: str) -> WorkerBrake:
    """Ask one worker. Raises UsageError for what is no HOST:PORT, DependencyDownError."""
    said = ask("GET", checked(worker), "/status")
    brake = said.get("brake") or {}
    return WorkerBrake(
        worker=worker,
        state=str(said["state"]),
        on=bool(brake.get("on")),
        since=brake.get("since"),
        why=brake.get("why"),
        dead_letters=brake.get("dead_letters", 0),
        of_the_last=brake.get("of_the_last", 0),
        times=brake.get("times", 0),
    )


def release(worker: str) -> bool:
    """Release one worker's brake; whether it was on. Raises as ``look`` does."""
    return bool(ask("POST", checked(worker), RELEASE)["released"])
