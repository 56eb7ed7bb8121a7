"""The front: what a worker answers to probes and people, from before it can work until its end."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from streamproc.telemetry.clock import Clock
from streamproc.telemetry.http import Check
from streamproc.telemetry.metrics import Dependency, Metrics
from streamproc.worker.step import NOTHING_YET, STARTING, Step, waiting

_ASKED: Mapping[Step | None, Dependency] = MappingProxyType(
    {Step.BROKER: Dependency.KAFKA, Step.REGISTRY: Dependency.REGISTRY}
)
"""Whom a step before there is a runtime waits for."""


class Runs(Protocol):
    """The runtime, as far as it is asked. Its module is not imported here: that is what there is to wait for."""

    @property
    def state(self) -> str:
        """What it is doing."""
        ...

    @property
    def warm(self) -> bool:
        """Whether the network has been loaded."""
        ...

    @property
    def started(self) -> bool:
        """Whether the group is joined."""
        ...

    @property
    def holds(self) -> bool:
        """Whether partitions are held."""
        ...

    @property
    def ready(self) -> bool:
        """Whether records are taken."""
        ...

    @property
    def brake(self) -> Mapping[str, object]:
        """What the brake says."""
        ...

    def status(self) -> Mapping[str, object]:
        """What a person would ask for."""
        ...

    def release_brake(self) -> bool:
        """Release it; whether it was on."""
        ...


class Watches(Protocol):
    """The watchdog, likewise."""

    @property
    def awake(self) -> bool:
        """Whether it has looked of late."""
        ...


class Front:
    """Safe from any thread; nothing here blocks."""

    def __init__(self, clock: Clock, metrics: Metrics, group: str = "", began: float | None = None) -> None:
        self.clock = clock
        self._group = group
        """Of consumers, for whoever asks whose worker this is."""
        self.metrics = metrics
        self.url = ""
        """Where it answers."""
        self._began = clock.monotonic() if began is None else began
        """Of the process, by the clock: a doorstep may have answered before."""
        self._wait: tuple[Step | None, float] = (Step.IMPORTS, self._began)
        """What is waited for, and since when. One value: threads that ask see both or neither."""
        self._runtime: Runs | None = None
        self._watchdog: Watches | None = None

    def begin(self, step: Step | None) -> None:
        """Wait for something else than before, or for nothing."""
        self._wait = step, self.clock.monotonic()

    def miss(self, away: bool) -> None:  # noqa: FBT001  # the one thing that is told
        """Show that the server that is waited for is away, or that it answered."""
        self.metrics.dependency_down[_ASKED[self._wait[0]]].set(away)

    def take(self, runtime: Runs, watchdog: Watches) -> None:
        """Ask these from now on."""
        self._runtime, self._watchdog = runtime, watchdog
        self.begin(Step.NETWORK)

    def health(self) -> Check:
        """Whether nothing is stuck: there is progress, or nothing to do, or an honest wait."""
        watchdog = self._watchdog  # which ends the process when it finds something
        return Check(watchdog is None or watchdog.awake, {"state": self._state()})

    def ready(self) -> Check:
        """Whether the network is warm and partitions are held, so that records are taken."""
        runtime = self._runtime
        detail = {"state": self._state(), "brake": runtime.brake if runtime else {}}
        return Check(runtime is not None and runtime.ready, detail)

    def started(self) -> Check:
        """Whether it has started: the network is warm and the broker was reached."""
        runtime = self._runtime
        return Check(runtime is not None and runtime.started, self._waiting())

    def status(self) -> Mapping[str, object]:
        """What a person would ask for."""
        runtime = self._runtime
        told = {"state": self._state(), **NOTHING_YET} if runtime is None else runtime.status()
        # Of the process: a runtime is younger, and time would go back for whoever asks.
        return {
            **told,
            "group": self._group,
            "uptime_s": round(self.clock.monotonic() - self._began, 3),
            **self._waiting(),
        }

    def release(self) -> bool:
        """Release the brake; whether it was on."""
        return self._runtime is not None and self._runtime.release_brake()

    def _state(self) -> str:
        self._look()
        return self._runtime.state if self._runtime else STARTING

    def _waiting(self) -> Mapping[str, object]:
        """What it waits for, how much of the start is behind it, and for how long it has waited."""
        step, since = self._look()
        if step is None:
            return {"waits_for": None, "percent": 100}
        return waiting(step, self.clock.monotonic() - since)

    def _look(self) -> tuple[Step | None, float]:
        """Nobody tells of the runtime's own waits: each begins, and ends, with the first question that finds it."""
        step = self._now()
        if step is not self._wait[0]:
            self.begin(step)
        return self._wait

    def _now(self) -> Step | None:
        runtime = self._runtime
        if runtime is None:
            return self._wait[0]
        if not runtime.started:
            return Step.SLOT if runtime.warm else Step.NETWORK
        return None if runtime.holds else Step.PARTITIONS
