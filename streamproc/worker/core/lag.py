"""Lag: how far the commits of our partitions are behind the ends of their topics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streamproc.records.record import CommitOffset, Record, TopicPartition


class Behind(NamedTuple):
    """Of one topic: records not committed, and the age of the oldest of them at most (ms)."""

    records: int
    age_ms: int


@dataclass(slots=True)
class _Place:
    following: int
    """The next offset to commit."""
    since_ms: int
    """Nothing that is not committed is older, by the topic's timestamps or by our clock when it was caught up."""
    seen: bool = False
    """Whether anything of it was seen since it is ours."""
    arrived_to: int = 0
    """One past the last record that was polled."""
    drained_to: int = 0
    """Where it ended when its last record was taken. Transactions leave marks behind their records."""

    @property
    def through(self) -> int:
        """Up to where nothing is left to be committed."""
        return max(self.following, self.drained_to) if self.following >= self.arrived_to else self.following


class Lag:
    """Told where partitions begin, what arrives and what is committed; told from time to time where they end."""

    def __init__(self) -> None:
        self._places: dict[TopicPartition, _Place] = {}
        self._ends: Mapping[TopicPartition, int] = {}

    def begin(self, starts: Iterable[CommitOffset], now_ms: int) -> None:
        """Own partitions. How old what waits there is tells the first record, or else how long we wait for it."""
        for start in starts:
            self._places[TopicPartition(start.topic, start.partition)] = _Place(start.offset, now_ms)

    def end(self, partitions: Iterable[TopicPartition]) -> None:
        """Own them no longer."""
        for partition in partitions:
            self._places.pop(partition, None)
        self._ends = {place: end for place, end in self._ends.items() if place in self._places}

    def arrived(self, records: Sequence[Record]) -> None:
        """See what was polled."""
        for record in records:
            place = self._places.get(record.source)
            if place is None:
                continue
            place.arrived_to = record.offset + 1
            if not place.seen:
                place.since_ms = min(place.since_ms, record.timestamp_ms)
                place.seen = True

    def committed(self, partition: TopicPartition, following: int, timestamp_ms: int) -> None:
        """Note a commit up to ``following``, whose last record has this timestamp."""
        if (place := self._places.get(partition)) is not None:
            place.following = following
            place.since_ms = max(place.since_ms, timestamp_ms) if place.seen else timestamp_ms
            place.seen = True

    def ended(self, ends: Mapping[TopicPartition, int], now_ms: int) -> None:
        """Note where some ended at ``now_ms``. Whoever has committed all of it was caught up then."""
        self._ends = {**self._ends, **ends}
        for partition, end in ends.items():
            place = self._places.get(partition)
            if place is not None and end <= place.through:
                place.since_ms = now_ms

    def drained(self, ends: Mapping[TopicPartition, int]) -> None:
        """Note where partitions ended whose last record was taken."""
        for partition, end in ends.items():
            if (place := self._places.get(partition)) is not None:
                place.drained_to = end

    def behind(self, now_ms: int) -> Mapping[str, Behind]:
        """By topic, of what is owned and whose end is known."""
        found: dict[str, Behind] = {}
        for partition, place in list(self._places.items()):
            end = self._ends.get(partition)
            if end is None:
                continue
            records = max(0, end - place.through)
            age_ms = max(0, now_ms - place.since_ms) if records else 0
            before = found.get(partition.topic, Behind(0, 0))
            found[partition.topic] = Behind(before.records + records, max(before.age_ms, age_ms))
        return found
