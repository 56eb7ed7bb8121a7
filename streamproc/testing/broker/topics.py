"""The topics of a cluster and where a keyed record goes."""

from collections.abc import Sequence
from zlib import crc32

from streamproc.errors import UsageError
from streamproc.records.record import TopicPartition
from streamproc.testing.broker.errors import Refusal, RefusedError
from streamproc.testing.broker.log import PartitionLog

MAX_MESSAGE_BYTES = 1_048_588
"""Kafka's default of max.message.bytes."""


class Topics:
    """Logs by topic and partition."""

    def __init__(self) -> None:
        self._topics: dict[str, list[PartitionLog]] = {}
        self._logs: dict[tuple[str, int], PartitionLog] = {}
        self._unkeyed = 0

    def create(self, name: str, partitions: int, retention_ms: int | None) -> None:
        """Make a topic. Raises UsageError for one that is there."""
        if name in self._topics:
            raise UsageError(f"topic {name} is there already")
        self._topics[name] = [PartitionLog(TopicPartition(name, n), retention_ms) for n in range(partitions)]
        self._logs.update(((name, number), log) for number, log in enumerate(self._topics[name]))

    def partitions(self, name: str) -> Sequence[PartitionLog]:
        """The logs of a topic. Raises UsageError for an unknown one."""
        found = self._topics.get(name)
        if found is None:
            raise UsageError(f"there is no topic {name}; create_topic makes one")
        return found

    def names(self, topics: Sequence[str]) -> list[TopicPartition]:
        """The partitions of these topics, in order."""
        return [TopicPartition(name, n) for name in topics for n in range(len(self.partitions(name)))]

    def log(self, topic: str, partition: int) -> PartitionLog:
        """One partition. Raises UsageError."""
        found = self._logs.get((topic, partition))
        if found is None:
            raise UsageError(f"topic {topic} has {len(self.partitions(topic))} partitions, so no {partition}")
        return found

    def choose(self, topic: str, key: bytes | None) -> int:
        """Where a record with this key goes: always the same partition, and turn by turn without a key."""
        count = len(self.partitions(topic))
        if key is None:
            self._unkeyed += 1
            return self._unkeyed % count
        return crc32(key) % count


def check_size(key: bytes | None, value: bytes | None) -> None:
    """Refuse what a topic does not take."""
    size = len(key or b"") + len(value or b"")
    if size > MAX_MESSAGE_BYTES:
        raise RefusedError(Refusal.MESSAGE_TOO_LARGE, f"{size} bytes, at most {MAX_MESSAGE_BYTES}")
