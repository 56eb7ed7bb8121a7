"""A process of the simulator that serves nothing but one part of it."""

from collections.abc import Callable
from random import Random

from streamproc.testing.fibers import Fibers, Process
from streamproc.testing.simulation.fault import Point


class SimulatedPlace(Process):
    """Satisfies ``simulation.parts.Place``; its fibers go on when they are let."""

    def __init__(self) -> None:
        super().__init__("part")
        self._random = Random(0)
        self._schedule = Fibers(self._random)

    def go_on(self, seconds: float = 0.01) -> None:
        """Let virtual time pass."""
        self._schedule.run(self._schedule.now + seconds)

    def visit(self, _point: Point) -> None:
        self._schedule.switch()

    def sleep(self, seconds: float) -> None:
        self._schedule.sleep(seconds)

    def now(self) -> float:
        return self._schedule.now

    def takes(self) -> float:
        return self._random.random() * 0.05

    def spawn(self, name: str, run: Callable[[], None]) -> object:
        return self._schedule.start(self, name, run)

    def wake(self) -> None:
        """Nobody sleeps."""

    def die(self) -> None:
        """Nothing kills it."""

    def resumed(self, segments: int) -> None:
        """Nobody counts."""
