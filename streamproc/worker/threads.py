"""The host that is this process: threads of the operating system."""

import os
import select
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any


class EventWake:
    """A wake on a descriptor, so that the loop can sleep on it beside the children."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """What to wait on."""
        return self._descriptor

    def set(self) -> None:
        """End the sleep, now or the next one."""
        os.eventfd_write(self._descriptor, 1)

    def sleep(self, timeout_s: float, descriptors: Iterable[int]) -> None:
        """Sleep; what was set while awake is seen by looking at the inboxes after this."""
        poll = select.poll()
        for descriptor in (self._descriptor, *descriptors):
            poll.register(descriptor, select.POLLIN)
        poll.poll(timeout_s * 1000)
        self.clear()

    def clear(self) -> None:
        """Forget what was set."""
        try:
            os.eventfd_read(self._descriptor)
        except BlockingIOError:
            return  # it was not set

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class Threads:
    """An executor of daemon threads: should what they call hang, the process can still end, and at once.

    (The standard library's pool is joined when the interpreter ends, whatever its ``shutdown`` was told.)
    """

    def __init__(self, name: str, count: int) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = SimpleQueue()
        self._count = count
        for number in range(count):
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True).start()

    def submit(self, call: Callable[..., None], /, *arguments: Any) -> None:
        """Run ``call`` when a thread is free."""
        self._calls.put((call, arguments))

    def close(self) -> None:
        """End the threads once they have answered what was submitted."""
        for _ in range(self._count):
            self._calls.put(None)

    def _run(self) -> None:
        while (entry := self._calls.get()) is not None:
            call, arguments = entry
            call(*arguments)


class ThreadHost:
    """Satisfies ``worker.host.Host``."""

    def flag(self) -> threading.Event:
        """A flag that is not raised."""
        return threading.Event()

    def wake(self) -> EventWake:
        """A wake that was not set."""
        return EventWake()

    def start(self, name: str, run: Callable[[], None]) -> threading.Thread:
        """Run something on a daemon thread."""
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def executor(self, name: str, count: int) -> Threads:
        """Daemon threads for calls that block."""
        return Threads(name, count)
