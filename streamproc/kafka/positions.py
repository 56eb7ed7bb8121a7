"""Partitions and offsets in the client's own type, which has the same name as ours."""

from collections.abc import Iterable

import confluent_kafka

from streamproc.records.record import CommitOffset, TopicPartition


def to_positions(offsets: Iterable[CommitOffset]) -> list[confluent_kafka.TopicPartition]:
    """Offsets with their metadata."""
    return [confluent_kafka.TopicPartition(o.topic, o.partition, o.offset, o.metadata) for o in offsets]


def to_partitions(partitions: Iterable[TopicPartition]) -> list[confluent_kafka.TopicPartition]:
    """Partitions without an offset."""
    return [confluent_kafka.TopicPartition(p.topic, p.partition) for p in partitions]


def to_names(positions: Iterable[confluent_kafka.TopicPartition]) -> list[TopicPartition]:
    """The other way, without offsets."""
    return [TopicPartition(p.topic, p.partition) for p in positions]


def to_offsets(positions: Iterable[confluent_kafka.TopicPartition]) -> list[CommitOffset]:
    """The other way, with offsets and metadata."""
    return [CommitOffset(p.topic, p.partition, p.offset, p.metadata or "") for p in positions]
