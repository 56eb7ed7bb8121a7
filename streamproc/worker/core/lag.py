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


class Lag:
    """Told where partitions begin, what arrives and what is committed; told from time to time where they end."""

    def __init__(self) -> None:
        self._places: dict[TopicPartition, _Place] = {}
        self._unseen = 0
        self._ends: Mapping[TopicPartition, int] = {}

    def begin(self, starts: Iterable[CommitOffset], now_ms: int) -> None:
        """Own partitions. How old what waits there is tells the first record, or else how long we wait for it."""
        for start in starts:
            self._places[TopicPartition(start.topic, start.partition)] = _Place(start.offset, now_ms)
        self._count_unseen()

    def end(self, partitions: Iterable[TopicPartition]) -> None:
        """Own them no longer."""
        for partition in partitions:
            self._places.pop(partition, None)
        self._ends = {place: end for place, end in self._ends.items() if place in self._places}
        self._count_unseen()

    def arrived(self, records: Sequence[Record]) -> None:
        """See what was polled: of each partition only the first record matters."""
        if not self._unseen:
            return
        for record in records:
            place = self._places.get(record.source)
            if place is not None and not place.seen:
                place.since_ms = min(place.since_ms, record.timestamp_ms)
                place.seen = True
        self._count_unseen()

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
            if place is not None and end <= place.following:
                place.since_ms = now_ms
        self._count_unseen()

    def behind(self, now_ms: int) -> Mapping[str, Behind]:
        """By topic, of what is owned and whose end is known."""
        found: dict[str, Behind] = {}
        for partition, place in list(self._places.items()):
            end = self._ends.get(partition)
            if end is None:
                continue
            records = max(0, end - place.following)
            age_ms = max(0, now_ms - place.since_ms) if records else 0
            before = found.get(partition.topic, Behind(0, 0))
            found[partition.topic] = Behind(before.records + records, max(before.age_ms, age_ms))
        return found

    def _count_unseen(self) -> None:
        self._unseen = sum(not place.seen for place in self._places.values())
