"""Threads that a seed schedules: one runs at a time, and virtual time moves when none can.

A fiber gives way at each wait and at each ``switch``; which one goes on is drawn. Fibers belong to a ``Process``,
which can be killed (none of its fibers goes on, what they hold is freed) or frozen (none goes on until it is thawed,
while time passes for everybody else).
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from streamproc.telemetry.timesheet import Activity, Hand, NoSheet


class Process:
    """What is killed and frozen as one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.failure: BaseException | None = None
        """What ended one of its fibers, other than their return."""
        self._fibers: dict[Fiber, None] = {}
        self._held: list[Fiber] = []

    def kill(self) -> None:
        """End it between two instructions, as SIGKILL does. Ports must refuse to act for a process not ``alive``."""
        self.alive = False
        fibers, self._fibers, self._held = list(self._fibers), {}, []
        here = getcurrent()
        for fiber in fibers:
            if fiber is not here:
                fiber.end()

    def freeze(self) -> None:
        """Stop it, as SIGSTOP does."""
        self.frozen = True

    def thaw(self, fibers: "Fibers") -> None:
        """Let it go on."""
        self.frozen = False
        held, self._held = self._held, []
        for fiber in held:
            fibers.ready(fiber)

    def hold(self, fiber: "Fiber") -> None:
        """Keep a fiber that could go on for the thaw."""
        self._held.append(fiber)

    def add(self, fiber: "Fiber") -> None:
        """Count a fiber in."""
        self._fibers[fiber] = None

    def remove(self, fiber: "Fiber") -> None:
        """Count out one that ended."""
        self._fibers.pop(fiber, None)


class Fiber(greenlet):
    """One thread."""

    def __init__(self, process: Process, name: str, run: Callable[[], None]) -> None:
        super().__init__(self._go)
        self.process = process
        self.name = name
        self.ended = False
        self._body = run
        self.waits = 0
        """Counts its waits, so that a timer of an earlier one is known to be stale."""
        process.add(self)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self.ended

    def end(self) -> None:
        """Unwind it; its process is dead."""
        self.ended = True
        self.waits += 1
        if self:  # it has begun
            self.parent = getcurrent()
            self.throw(GreenletExit)

    def _go(self) -> None:
        try:
            self._body()
        except GreenletExit:
            pass
        except BaseException as error:  # noqa: BLE001  # not swallowed: whoever owns the process looks at it
            if self.process.alive:
                self.process.failure = error
        self.ended = True
        self.process.remove(self)


class Fibers:
    """The scheduler and its time. Everything but ``run`` is called by fibers, or before ``run``.

    Whoever leaves draws who goes on, and switches there: only a fiber that ends, or finds nobody, goes back to ``run``.
    """

    def __init__(self, random: Random) -> None:
        self.now = 0.0
        """Virtual seconds since the start."""
        self.switches = 0
        self._until = 0.0
        self._hub = getcurrent()
        self._draw = random.random
        self._ready: list[Fiber] = []
        self._timers: list[tuple[float, int, Fiber, int]] = []
        self._count = 0

    def start(self, process: Process, name: str, run: Callable[[], None]) -> Fiber:
        """Make a fiber; it begins when it is drawn."""
        fiber = Fiber(process, name, run)
        self.ready(fiber)
        return fiber

    def ready(self, fiber: Fiber) -> None:
        """Let a fiber be drawn."""
        if fiber.process.frozen:
            fiber.process.hold(fiber)
        else:
            self._ready.append(fiber)

    def run(self, until: float) -> None:
        """Run fibers until this time, which passes even when none can ever go on; without end, until none can."""
        self._until, self._hub = until, getcurrent()
        while (fiber := self._next()) is not None:
            fiber.parent = self._hub
            fiber.switch()

    def _next(self) -> Fiber | None:
        """Draw who goes on, and let time move while nobody can; None when the time of ``run`` is over."""
        ready, timers = self._ready, self._timers
        while True:
            while ready:
                place = int(self._draw() * len(ready))
                fiber, ready[place] = ready[place], ready[-1]
                ready.pop()
                if fiber.ended:
                    continue
                if fiber.process.frozen:
                    fiber.process.hold(fiber)
                    continue
                self.switches += 1
                return fiber
            if not timers or timers[0][0] > self._until:
                self.now = self.now if self._until == inf else self._until
                return None
            self.now = when = timers[0][0]
            while timers and timers[0][0] <= when:
                _, _, fiber, wait = heapq.heappop(timers)
                self.unpark(fiber, wait)

    # --- for the running fiber ---------------------------------------------------------------------------------------

    def here(self) -> Fiber:
        """The fiber that runs."""
        fiber = getcurrent()
        assert isinstance(fiber, Fiber), "only a fiber can wait"  # noqa: S101  # a mistake of the simulator itself
        if not fiber.process.alive:
            raise GreenletExit
        return fiber

    def switch(self) -> None:
        """Let others go first, perhaps."""
        fiber = self.here()
        if self._ready or fiber.process.frozen:  # else nobody else could be drawn
            self.ready(fiber)
            self._leave(fiber)

    def sleep(self, seconds: float) -> None:
        """Wait for time to pass."""
        fiber = self.here()
        self._alarm(fiber, seconds)
        self._leave(fiber)

    def park(self, timeout: float | None) -> None:
        """Wait until ``unpark``, or until the time is over."""
        fiber = self.here()
        if timeout is not None:
            self._alarm(fiber, timeout)
        self._leave(fiber)

    def unpark(self, fiber: Fiber, wait: int) -> None:
        """End the wait of that number, unless it has ended."""
        if wait == fiber.waits and not fiber.ended:
            fiber.waits += 1
            self.ready(fiber)

    def _alarm(self, fiber: Fiber, seconds: float) -> None:
        self._count += 1
        heapq.heappush(self._timers, (self.now + seconds, self._count, fiber, fiber.waits))

    def _leave(self, fiber: Fiber) -> None:
        following = self._next()
        if following is None:
            self._hub.switch()
        elif following is not fiber:
            following.parent = self._hub
            following.switch()


class FiberFlag:
    """``threading.Event`` for fibers."""

    def __init__(self, fibers: Fibers) -> None:
        self._fibers = fibers
        self._set = False
        self._waiting: list[tuple[Fiber, int]] = []

    def set(self) -> None:
        """Raise it."""
        self._set = True
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for fiber, wait in waiting:
                self._fibers.unpark(fiber, wait)

    def clear(self) -> None:
        """Take it down."""
        self._set = False

    def is_set(self) -> bool:
        """Whether it is raised."""
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is raised, at most ``timeout`` virtual seconds; whether it is."""
        if not self._set:
            fiber = self._fibers.here()
            self._waiting.append((fiber, fiber.waits))
            self._fibers.park(timeout)
        return self._set


class FiberWake:
    """The loop's sleep."""

    def __init__(self, fibers: Fibers) -> None:
        self._fibers = fibers
        self._flag = FiberFlag(fibers)
        self.set = self._flag.set

    def sleep(self, timeout_s: float, descriptors: Iterable[int]) -> None:
        """Give way once, then sleep until it was set. Fakes have no descriptors: they set it themselves."""
        del descriptors
        self._fibers.switch()
        self._flag.wait(timeout_s)
        self._flag.clear()


class FiberExecutor:
    """At most ``count`` calls at a time, begun in order, finished in any. Its fibers wait for the next call."""

    def __init__(self, fibers: Fibers, process: Process, name: str, count: int) -> None:
        self._fibers = fibers
        self._process = process
        self._name = name
        self._free = count
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._waiting: list[tuple[Fiber, int]] = []

    def submit(self, _activity: Activity, call: Callable[..., None], /, *arguments: Any) -> None:
        """Run ``call`` when one of ``count`` is free."""
        self._calls.append((call, arguments))
        if self._free:
            self._free -= 1
            if self._waiting:
                self._fibers.unpark(*self._waiting.pop())
            else:
                self._fibers.start(self._process, self._name, self._run)

    def close(self) -> None:
        """Nothing to end: fibers that wait end with their process."""

    def _run(self) -> None:
        fiber = self._fibers.here()
        while True:
            while self._calls:
                call, arguments = self._calls.popleft()
                call(*arguments)
                del call, arguments  # else a fiber that waits holds what its last call was about
            self._free += 1
            self._waiting.append((fiber, fiber.waits))
            self._fibers.park(None)


class FiberHost:
    """Satisfies ``worker.host.Host`` for one process."""

    def __init__(self, fibers: Fibers, process: Process) -> None:
        self._fibers = fibers
        self._process = process
        self._wake = FiberWake(fibers)

    def flag(self) -> FiberFlag:
        """A flag that is not raised."""
        return FiberFlag(self._fibers)

    def wake(self) -> FiberWake:
        """The process's one wake, which its fakes set too."""
        return self._wake

    def start(self, name: str, run: Callable[[], None]) -> Fiber:
        """A fiber of the process."""
        return self._fibers.start(self._process, name, run)

    def executor(self, hand: Hand, count: int) -> FiberExecutor:
        """Fibers for calls that block."""
        return FiberExecutor(self._fibers, self._process, hand, count)

    def sheet(self, _hand: Hand, _first: Activity) -> NoSheet:
        """Nobody is timed: virtual time says nothing of work."""
        return NoSheet()


class FiberClock:
    """A process's clock: virtual time, and a wall clock that may be wrong."""

    def __init__(self, fibers: Fibers, start_ms: int, skew_ms: int = 0) -> None:
        self._fibers = fibers
        self._start_ms = start_ms + skew_ms

    def monotonic(self) -> float:
        """Seconds since the start of the run."""
        return self._fibers.now

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._start_ms + round(1000 * self._fibers.now)
