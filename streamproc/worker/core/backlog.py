"""The backlog: what was polled and is not in a micro-batch yet."""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


def _never(_: object) -> bool:
    return False


def _always(_: object) -> bool:
    return True


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

    What waits here is not in flight: a stop or a revoke leaves it to the next owner. ``queue`` names the queue of an
    item: none of it goes before an older one of it, but what may not go on yet holds no other queue up. ``weigh`` looks
    into an item, which only one that may go on is ready for; it is asked again of what had no room.
    """

    def __init__(self, most: Load, queue: Callable[[T], Hashable], weigh: Callable[[T], Load]) -> None:
        self._most = most
        self._queue = queue
        self._weigh = weigh
        self._waiting: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, item: T) -> None:
        """Let it wait behind the others."""
        self._waiting.append(item)

    def cut(self, may: Callable[[T], bool] = _always, last: Callable[[T], bool] = _never) -> Sequence[T]:
        """Take out the next micro-batch: it ends before what would pass the limit, and leaves what may not go on yet.

        What is over the limit by itself is alone in its own, so that the oldest can always go on. What ``may`` was
        asked about and is allowed is taken out, unless there is no room left for it beside others. What is to go
        ``last`` is asked about when nothing else is left.
        """
        items: list[T] = []
        total = Load(0, 0, 0, 0.0)
        held: set[Hashable] = set()
        left: deque[T] = deque()
        refused = False
        while self._waiting and total.records < self._most.records:
            item = self._waiting[0]
            queue = self._queue(item)
            if queue in held or last(item):
                goes = False
            else:
                goes = may(item)
                refused = refused or not goes
            if goes:
                more = total + self._weigh(item)
                if items and not more.within(self._most):
                    break
                items.append(item)
                total = more
            else:
                held.add(queue)
                left.append(item)
            self._waiting.popleft()
        self._waiting.extendleft(reversed(left))
        if self._waiting and not (items or refused) and may(self._waiting[0]):
            self._weigh(self._waiting[0])
            items.append(self._waiting.popleft())
        return items

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Forget what is not wanted any more."""
        self._waiting = deque(item for item in self._waiting if wanted(item))
