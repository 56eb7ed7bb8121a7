"""What happens at a later time, in the order of time and then of asking."""

import math
from collections.abc import Callable
from heapq import heappop, heappush


class Timers:
    """Calls that fall due. Nothing is ever taken out: a call that has become pointless finds that out itself."""

    __slots__ = ("_asked", "_heap", "due")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._asked = 0
        self.due = math.inf
        """When the next call falls due."""

    def at(self, when: float, call: Callable[[float], None]) -> None:
        """Have ``call`` made with the time at which it fell due."""
        self._asked += 1
        heappush(self._heap, (when, self._asked, call))
        self.due = self._heap[0][0]

    def run_next(self) -> None:
        """Make the call that falls due first."""
        when, _, call = heappop(self._heap)
        self.due = self._heap[0][0] if self._heap else math.inf
        call(when)

    def clear(self) -> None:
        """Forget everything, as a process that ends does."""
        self._heap.clear()
        self.due = math.inf
