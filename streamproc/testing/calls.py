"""``Calls`` without threads: the test decides when a call runs."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic

from streamproc.worker.ports import K, V


class ManualCalls(Generic[K, V]):
    """Keeps calls until ``run`` is called; with ``at_once`` they run when their answers are taken."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.waiting: deque[tuple[K, Callable[[], V]]] = deque()
        self._answers: list[tuple[K, V | Exception]] = []

    def submit(self, key: K, call: Callable[[], V]) -> None:
        """Keep a call."""
        self.waiting.append((key, call))

    def run(self, place: int = 0) -> None:
        """Run one waiting call, by default the oldest."""
        key, call = self.waiting[place]
        del self.waiting[place]
        answer: V | Exception
        try:
            answer = call()
        except Exception as error:  # noqa: BLE001  # not swallowed: it is the answer, as on the real pool
            answer = error
        self._answers.append((key, answer))

    def take(self) -> Sequence[tuple[K, V | Exception]]:
        """Answers of the calls that ran."""
        while self.at_once and self.waiting:
            self.run()
        answers, self._answers = self._answers, []
        return answers
