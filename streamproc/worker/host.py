"""What the runtime needs of whatever it runs on: threads, flags and sleep. The simulator brings its own."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from streamproc.telemetry.timesheet import Activity, Hand, Sheet


class Flag(Protocol):
    """``threading.Event`` by shape."""

    def set(self) -> None:
        """Raise it, and wake who waits."""
        ...

    def clear(self) -> None:
        """Take it down."""
        ...

    def is_set(self) -> bool:
        """Whether it is raised."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is raised, at most ``timeout`` seconds; whether it is."""
        ...


class Wake(Protocol):
    """Ends the loop's sleep from another thread."""

    def set(self) -> None:
        """End the sleep, now or the next one."""
        ...

    def sleep(self, timeout_s: float, descriptors: Iterable[int]) -> None:
        """Sleep until ``set`` was called since the last sleep, a descriptor is readable, or the time is over."""
        ...


class Running(Protocol):
    """One thread."""

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        ...


class Executor(Protocol):
    """A few threads that run calls, which begin in the order they were submitted."""

    def submit(self, activity: Activity, call: Callable[..., None], /, *arguments: Any) -> object:
        """Run ``call`` when a thread is free, whose time it is then. Never blocks."""
        ...

    def close(self) -> None:
        """End the threads once they have answered what was submitted."""
        ...


class Host(Protocol):
    """Makes them."""

    def flag(self) -> Flag:
        """A flag that is not raised."""
        ...

    def wake(self) -> Wake:
        """A wake that was not set."""
        ...

    def start(self, name: str, run: Callable[[], None]) -> Running:
        """Run something on a thread of its own, which does not keep the process alive."""
        ...

    def executor(self, hand: Hand, count: int) -> Executor:
        """Threads for calls that block."""
        ...

    def sheet(self, hand: Hand, first: Activity) -> Sheet:
        """Where a thread that begins with ``first`` now notes what it does."""
        ...
