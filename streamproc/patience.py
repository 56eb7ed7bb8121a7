"""How a process waits for the servers that it cannot do without."""

import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, sleep

from streamproc.errors import DependencyDownError, StreamprocError
from streamproc.settings import WorkerSettings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import get_log

T = TypeVar("T")

AGAIN_S = 2.0
"""Between two tries to reach a server; a broker that does not answer takes longer by itself."""

_log = get_log(__name__)


class StoppedError(StreamprocError):
    """Raised instead of waiting, or reading, on when this process is told to stop."""


class Patience:
    """Waits for ``worker.start_wait_s``, for all servers together, and says so meanwhile.

    Another thread may set ``stopping``: then nothing is waited for any more. ``missing`` is told True while a server
    does not answer, and False when it does.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        clock: Clock,
        stopping: threading.Event | None = None,
        missing: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._stopping = stopping
        self._missing = missing
        self._until = clock.monotonic() + settings.start_wait_s

    def __call__(self, call: Callable[[], T]) -> T:
        """Make a call until it does not raise DependencyDownError any more. Raises the last one, or StoppedError."""
        retrying = Retrying(
            retry=retry_if_exception_type(DependencyDownError),
            stop=lambda _: self._left_s <= 0,
            sleep=self._sleep,
            wait=lambda _: min(AGAIN_S, self._left_s),
            before_sleep=lambda state: self._tell(state.outcome.exception() if state.outcome else None),
            reraise=True,
        )
        answer = retrying(call)
        self._missing(False)
        return answer

    def _sleep(self, seconds: float) -> None:
        if self._stopping is None:
            sleep(seconds)
        elif self._stopping.wait(seconds):
            raise StoppedError("stopped while it waited for a server")

    @property
    def _left_s(self) -> float:
        return max(0.0, self._until - self._clock.monotonic())

    def _tell(self, error: BaseException | None) -> None:
        if isinstance(error, DependencyDownError):
            self._missing(True)
            left_s = round(self._left_s, 1)
            detail = f"{error.detail}; this process gives up in {left_s:g} s"
            _log.warning("waiting for a server", dependency=error.dependency, detail=detail, seconds=left_s)


def tell_waiting(error: DependencyDownError) -> None:
    """Say what is waited for, by who waits without end and tries again after ``AGAIN_S``."""
    _log.warning("waiting for a server", dependency=error.dependency, detail=error.detail)


def tell_back(error: DependencyDownError) -> None:
    """Say that what was waited for is there again."""
    _log.info("a server is back", dependency=error.dependency)
