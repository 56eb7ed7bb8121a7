"""The backlog: what was polled and is not in a micro-batch yet."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Load(NamedTuple):
    """What records ask of a micro-batch, or what one takes at most."""

    records: int
    size: int
    """Stored bytes."""
    audio_ms: int
    seconds: float
    """Predicted time of the device."""

    def __add__(self, other: object) -> "Load":
        if not isinstance(other, Load):
            return NotImplemented
        return Load(
            self.records + other.records,
            self.size + other.size,
            self.audio_ms + other.audio_ms,
            self.seconds + other.seconds,
        )

    def within(self, most: "Load") -> bool:
        """Whether no part passes the limit."""
        return (
            self.records <= most.records
            and self.size <= most.size
            and self.audio_ms <= most.audio_ms
            and self.seconds <= most.seconds
        )


class Backlog(Generic[T]):
    """Cuts what waits into micro-batches of at most ``most``, in the order it came, one when there is room for it.

    What waits here is not in flight: a stop or a revoke leaves it to the next owner.
    """

    def __init__(self, most: Load) -> None:
        self._most = most
        self._waiting: deque[tuple[T, Load]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, item: T, load: Load) -> None:
        """Let it wait behind the others."""
        self._waiting.append((item, load))

    def cut(self, may: Callable[[T], bool] = lambda _: True) -> Sequence[T]:
        """Take out the next micro-batch: it ends before what would pass the limit, and before what may not go on yet.

        What is over the limit by itself is alone in its own, so that the oldest can always go on. What ``may`` was
        asked about and is allowed is taken out.
        """
        items: list[T] = []
        total = Load(0, 0, 0, 0.0)
        while self._waiting:
            item, load = self._waiting[0]
            total += load
            if (items and not total.within(self._most)) or not may(item):
                break
            items.append(item)
            self._waiting.popleft()
        return items

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Forget what is not wanted any more."""
        self._waiting = deque(entry for entry in self._waiting if wanted(entry[0]))
