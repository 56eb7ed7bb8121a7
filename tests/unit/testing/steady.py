"""A world in which nothing goes wrong but what a test lets go wrong, checked as it goes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streamproc.testing.simulation.bounds import check_bounds
from streamproc.testing.simulation.inflict import inflict
from streamproc.testing.simulation.observer import Observer
from streamproc.testing.simulation.plan import make_plan
from streamproc.testing.simulation.world import World

_SLICE_S = 0.5
"""Between two looks."""


class Steady:
    """Two workers on two partitions and no fault; ``changes`` are of the plan that the seed gives."""

    def __init__(self, seed: int, **changes: Any) -> None:
        plan = replace(
            make_plan(seed),
            workers=2,
            partitions=2,
            shared_tier=True,
            tight=False,
            gaps=(),
            faults=(),
            alone=False,
            retention_at=None,
            **changes,
        )
        self.world = World(plan, inflict)
        self._observer = Observer(self.world)
        self.world.servers.broker.observers.append(self._observer)
        self.world.begin()

    def go_on(self, until: float, *, over: Callable[[], bool] = lambda: False) -> None:
        """Let time go by, up to a moment (virtual s) or until it is over."""
        fibers = self.world.fibers
        while fibers.now < until and not over():
            fibers.run(min(until, fibers.now + _SLICE_S))
            assert self._observer.violation is None
            check_bounds(self.world)

    def close(self) -> None:
        self.world.close()
