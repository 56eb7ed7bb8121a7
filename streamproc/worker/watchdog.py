"""The watchdog: ends a process that is stuck, with the stacks of all its threads, so that its supervisor can help."""

import faulthandler
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from streamproc.errors import ExitCode, Fatal
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import get_log
from streamproc.telemetry.timesheet import Timesheets
from streamproc.worker.stuck import Stuck, Verdict

log = get_log(__name__)

LOOK_S = 1.0
LATE_S = 15.0
"""A watchdog that was not seen for so long is stuck itself, or its process stood still."""
WORDS_S = 5.0
"""For the line of the log, and for the stacks, until the process ends without having said them."""
STDERR = 2


class Watchdog:
    """Looks every second, on a thread of its own, at what the time sheets say and at what moves."""

    def __init__(
        self,
        stuck: Stuck,
        sheets: Timesheets,
        moves: Callable[[], int | None],
        clock: Clock,
        end: Callable[[Verdict], None],
    ) -> None:
        self._stuck = stuck
        self._sheets = sheets
        self._moves = moves
        self._clock = clock
        self._end = end
        self._looked_at = clock.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    @property
    def awake(self) -> bool:
        """Whether it has looked of late."""
        return self._clock.monotonic() - self._looked_at < LATE_S

    def start(self) -> None:
        """Begin to look."""
        self._looked_at = self._clock.monotonic()
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(LOOK_S):
            now = self._clock.monotonic()
            elapsed = min(now - self._looked_at, 2 * LOOK_S)  # what is more, everybody stood still
            self._looked_at = now
            if (verdict := self._stuck.look(self._sheets.moments(), self._moves(), elapsed)) is not None:
                self._end(verdict)
                return


def end_process(verdict: Verdict) -> None:
    """Say who is stuck, write the stacks of all threads, and end: nothing that is stuck could be unwound.

    It ends whatever becomes of its words: what is stuck may be the log itself, where nobody reads stderr any more.
    """
    try:
        stacks = _stacks()
        _try_for(WORDS_S, lambda: _tell(verdict))
        _try_for(WORDS_S, lambda: _write(stacks))
    finally:
        os._exit(ExitCode.FATAL)


def _tell(verdict: Verdict) -> None:
    log.error("stuck, the process ends", cause=Fatal.STUCK, detail=str(verdict), seconds=round(verdict.seconds, 1))


def _stacks() -> bytes:
    # Not to stderr at once: while faulthandler writes, no other thread runs, the one that gives up waiting neither.
    with os.fdopen(os.memfd_create("stacks"), "w+b") as file:
        faulthandler.dump_traceback(file=file, all_threads=True)
        file.seek(0)
        return file.read()


def _write(text: bytes) -> None:
    with suppress(OSError):  # the reader is gone
        while text:
            text = text[os.write(STDERR, text) :]


def _try_for(seconds: float, call: Callable[[], None]) -> None:
    """Call, and wait no longer than this for it to end."""
    thread = threading.Thread(target=call, name="last-words", daemon=True)
    thread.start()
    thread.join(seconds)
