"""``Calls`` on an executor."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic

from streamproc.telemetry.timesheet import Activity
from streamproc.worker.host import Executor, Wake
from streamproc.worker.ports import K, V


class PooledCalls(Generic[K, V]):
    """Runs calls on an executor, whose time they are as ``activity``, and wakes the loop when one has its answer."""

    def __init__(self, executor: Executor, activity: Activity, wake: Wake) -> None:
        self._executor = executor
        self._activity = activity
        self._wake = wake
        self._lock = threading.Lock()
        self._answers: deque[tuple[K, V | Exception]] = deque()

    def submit(self, key: K, call: Callable[[], V]) -> None:
        """Start ``call`` on the executor."""
        self._executor.submit(self._activity, self._run, key, call)

    def take(self) -> Sequence[tuple[K, V | Exception]]:
        """Answers since the last take."""
        if not self._answers:  # asked at every step, and mostly there is none
            return ()
        with self._lock:
            answers, self._answers = self._answers, deque()
        return tuple(answers)

    def _run(self, key: K, call: Callable[[], V]) -> None:
        try:
            value = call()
        except Exception as error:  # noqa: BLE001  # not swallowed: whoever submitted the call takes it as its answer
            # Kept in a variable it would hold itself, by its traceback, and with it what the call had fetched.
            self._answer(key, error)
        else:
            self._answer(key, value)

    def _answer(self, key: K, answer: V | Exception) -> None:
        with self._lock:
            self._answers.append((key, answer))
        self._wake.set()
