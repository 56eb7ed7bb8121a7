"""The host that is this process: threads of the operating system."""

import os
import select
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any

from streamproc.telemetry.timesheet import Activity, Hand, Timesheet, Timesheets


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

    def __init__(self, hand: Hand, count: int, sheets: Timesheets) -> None:
        self._calls: SimpleQueue[tuple[Activity, Callable[..., None], tuple[Any, ...]] | None] = SimpleQueue()
        self._count = count
        for number in range(count):
            name = f"{hand}-{number}"
            sheet = sheets.open(hand, name, Activity.IDLE)
            threading.Thread(target=self._run, args=(sheet,), name=name, daemon=True).start()

    def submit(self, activity: Activity, call: Callable[..., None], /, *arguments: Any) -> None:
        """Run ``call`` when a thread is free."""
        self._calls.put((activity, call, arguments))

    def close(self) -> None:
        """End the threads once they have answered what was submitted."""
        for _ in range(self._count):
            self._calls.put(None)

    def _run(self, sheet: Timesheet) -> None:
        while (entry := self._calls.get()) is not None:
            activity, call, arguments = entry
            sheet.enter(activity)
            call(*arguments)
            sheet.enter(Activity.IDLE)


class ThreadHost:
    """Satisfies ``worker.host.Host``. What its threads do with their time is in ``sheets``."""

    def __init__(self, sheets: Timesheets) -> None:
        self._sheets = sheets

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

    def executor(self, hand: Hand, count: int) -> Threads:
        """Daemon threads for calls that block."""
        return Threads(hand, count, self._sheets)

    def sheet(self, hand: Hand, first: Activity) -> Timesheet:
        """A sheet of the thread that asks."""
        return self._sheets.open(hand, hand, first)
