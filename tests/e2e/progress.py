"""How long partitions stand still, seen from outside, and how long the settings let them."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SAMPLE_S = 0.1


@dataclass(frozen=True)
class Wait:
    """A partition had records that nobody had committed, and its committed offset did not move."""

    partition: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Progress:
    """Compares, often, what is committed with what there is, from a thread of its own.

    ``positions`` gives committed offsets by partition, ``ends`` the offsets after the last records.
    """

    def __init__(self, positions: Callable[[], Mapping[int, int]], ends: Mapping[int, int]) -> None:
        self._positions = positions
        self._ends = ends
        self._since: dict[int, float] = {}
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self.committed: dict[int, int] = dict.fromkeys(ends, 0)
        """By partition, as of the last look."""
        self.waits: list[Wait] = []

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what still waits ends now. Raises what went wrong."""
        self._stopping.set()
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        for partition in self._since:
            self._end(partition, time.monotonic())

    def _run(self) -> None:
        try:
            while not self._stopping.wait(SAMPLE_S):
                ends = dict(self._ends)  # first: what was committed by now is then at least as new
                self._look(ends, self._positions(), time.monotonic())
        except Exception as error:  # noqa: BLE001  # not swallowed: ``stop`` raises it, where the test sees it
            self._error = error

    def _look(self, ends: Mapping[int, int], committed: Mapping[int, int], now: float) -> None:
        for partition, end in ends.items():
            position = committed.get(partition, 0)
            if position != self.committed[partition] or position >= end:
                self._end(partition, now)
            self.committed[partition] = position
            self._since.setdefault(partition, now)

    def _end(self, partition: int, now: float) -> None:
        self.waits.append(Wait(partition, self._since.get(partition, now), now))
        self._since[partition] = now
