"""Lanes: when a record that failed for now comes again."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamproc.records.record import Record, TopicPartition
from streamproc.settings import RetrySettings, TopicSettings


@dataclass(frozen=True, slots=True)
class Lane:
    """A retry topic with one fixed delay, so that nobody waits behind a longer one."""

    topic: str
    delay_ms: int


class RetryPolicy:
    """Which lane an attempt goes to: each lane in turn for ``attempts_per_lane`` attempts, then none.

    In strict order it waits in place as often, and goes to none.
    """

    def __init__(self, topics: TopicSettings, retry: RetrySettings) -> None:
        self.lanes = tuple(
            Lane(topic, round(delay * 1000)) for topic, delay in zip(topics.lanes, retry.delays_s, strict=True)
        )
        self._strict = retry.order == "strict"
        self._per_lane = retry.attempts_per_lane
        self._waits_s = retry.delays_s
        self._delays = {lane.topic: lane.delay_ms for lane in self.lanes}

    def lane(self, attempts: int) -> Lane | None:
        """The lane after ``attempts`` failed tries (1 or more); None when they are exhausted."""
        place = (attempts - 1) // self._per_lane
        return self.lanes[place] if place < len(self.lanes) else None

    def wait_s(self, attempts: int) -> float | None:
        """How long to wait in place after ``attempts`` failed tries; None once exhausted, and where there are lanes."""
        if not self._strict or attempts > self._per_lane * len(self.lanes):
            return None
        first, longest = self._waits_s
        return float(min(first * 2 ** (attempts - 1), longest))

    def due_ms(self, record: Record, now_ms: int) -> int:
        """When a record that is here now may be tried: at once, but on a lane after its delay.

        A writer whose clock is ahead makes nobody wait longer than that delay.
        """
        delay_ms = self._delays.get(record.topic)
        return 0 if delay_ms is None else min(record.timestamp_ms, now_ms) + delay_ms


@dataclass(frozen=True, slots=True)
class Polled:
    """A record as the polling thread took it, with the epoch of its partition at that moment."""

    record: Record
    epoch: int


class Parking:
    """Lane records that are not due yet. Their partitions stay paused, so this holds one poll's worth at most."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._parked: dict[TopicPartition, deque[tuple[int, Polled]]] = {}
        """With the moment at which each is due (ms)."""

    def sift(self, polled: Sequence[Polled], now_ms: int) -> list[Polled]:
        """Keep what is not due, and whatever stands behind it in its partition; return the rest in order."""
        due = []
        for one in polled:
            due_ms = self._policy.due_ms(one.record, now_ms)
            if one.record.source not in self._parked and due_ms <= now_ms:
                due.append(one)
            else:
                self._parked.setdefault(one.record.source, deque()).append((due_ms, one))
        return due

    def release(self, now_ms: int) -> list[Polled]:
        """Take out what became due."""
        due = []
        for partition in list(self._parked):
            queue = self._parked[partition]
            while queue and queue[0][0] <= now_ms:
                due.append(queue.popleft()[1])
            if not queue:
                del self._parked[partition]
        return due

    def drop(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget what went to another owner."""
        for partition in partitions:
            self._parked.pop(partition, None)

    def __iter__(self) -> Iterator[TopicPartition]:
        return iter(self._parked)
