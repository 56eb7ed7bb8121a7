"""A Kafka record as plain values, before and after us."""

from functools import lru_cache
from typing import NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


_place = lru_cache(4_096)(TopicPartition)
"""Each record is asked for its place some ten times, and there are few."""


class Record(NamedTuple):
    """What the source took from a partition, byte for byte."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """The broker's or the producer's time, in ms since the epoch."""
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def source(self) -> TopicPartition:
        """The partition it was taken from."""
        return _place(self.topic, self.partition)

    def header(self, name: str) -> bytes | None:
        """The last value of a header, as Kafka's own clients read it; None when it is absent."""
        for key, value in reversed(self.headers):
            if key == name:
                return value
        return None


class OutputRecord(NamedTuple):
    """What the sink is to write."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    """Where it has to stand; None lets the key decide."""


class CommitOffset(NamedTuple):
    """The next offset to read of one partition, with the metadata that travels with it."""

    topic: str
    partition: int
    offset: int
    metadata: str = ""
