"""Which records lie where in a partition; marks of transactions, and what was aborted, are none."""

from collections.abc import Collection, Sequence

from streamproc.errors import UsageError
from streamproc.kafka.log import Log
from streamproc.operate.place import Place
from streamproc.records.record import TopicPartition


def is_there(log: Log, place: Place) -> bool:
    """Whether a committed record is at a place. Raises DependencyDownError."""
    try:
        if place.partition not in log.partitions(place.partition.topic):
            return False
    except UsageError:  # there is no such topic
        return False
    kept = log.bounds([place.partition])[place.partition]
    return place.offset in kept and count(log, place.partition, range(place.offset, place.offset + 1)) > 0


def first_at(log: Log, place: Place) -> Place | None:
    """The first record at or behind a place; None where there is none. Raises DependencyDownError, GoneError."""
    stretch = range(place.offset, log.bounds([place.partition])[place.partition].stop)
    for offsets in log.read({place.partition: stretch}, lambda message: message.offset() or 0):
        if offsets:
            return Place(place.partition, offsets[0])
    return None


def places(log: Log, partition: TopicPartition, stretch: range) -> Sequence[Place]:
    """The records of a stretch. Raises DependencyDownError, GoneError."""
    found = log.read({partition: stretch}, lambda message: message.offset() or 0)
    return [Place(partition, offset) for offsets in found for offset in offsets]


def count(log: Log, partition: TopicPartition, stretch: range) -> int:
    """How many records lie in a stretch. Raises DependencyDownError, GoneError."""
    return len(places(log, partition, stretch))


def ends(log: Log, topic: str) -> Collection[Place]:
    """Behind the last record of each partition. Raises UsageError, DependencyDownError."""
    return [Place(partition, bound.stop) for partition, bound in log.bounds(log.partitions(topic)).items()]
