"""``Calls`` on a thread pool."""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Generic, Protocol

from streamproc.worker.ports import K, V


class Wake:
    """Ends the loop's sleep from another thread. A descriptor, so that the loop can sleep on it beside the children."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """What to wait on."""
        return self._descriptor

    def set(self) -> None:
        """End the sleep, now or the next one."""
        os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Sleep again; what was set while awake is seen by looking at the inboxes after this."""
        try:
            os.eventfd_read(self._descriptor)
        except BlockingIOError:
            return  # it was not set

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class Executor(Protocol):
    """What runs calls."""

    def submit(self, call: Callable[..., None], /, *arguments: Any) -> object:
        """Run ``call`` elsewhere."""
        ...


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
        """Run ``call`` when a thread is free; calls begin in the order they were submitted."""
        self._calls.put((call, arguments))

    def close(self) -> None:
        """End the threads once they have answered what was submitted."""
        for _ in range(self._count):
            self._calls.put(None)

    def _run(self) -> None:
        while (entry := self._calls.get()) is not None:
            call, arguments = entry
            call(*arguments)


class PooledCalls(Generic[K, V]):
    """Runs calls on an executor and wakes the loop when one has its answer."""

    def __init__(self, executor: Executor, wake: Wake) -> None:
        self._executor = executor
        self._wake = wake
        self._lock = threading.Lock()
        self._answers: deque[tuple[K, V | Exception]] = deque()

    def submit(self, key: K, call: Callable[[], V]) -> None:
        """Start ``call`` on the executor."""
        self._executor.submit(self._run, key, call)

    def take(self) -> Sequence[tuple[K, V | Exception]]:
        """Answers since the last take."""
        with self._lock:
            answers, self._answers = self._answers, deque()
        return tuple(answers)

    def _run(self, key: K, call: Callable[[], V]) -> None:
        answer: V | Exception
        try:
            answer = call()
        except Exception as error:  # noqa: BLE001  # not swallowed: whoever submitted the call takes it as its answer
            answer = error
        with self._lock:
            self._answers.append((key, answer))
        self._wake.set()
