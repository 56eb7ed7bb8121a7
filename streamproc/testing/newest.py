"""The end of a topic as a test sets it."""

from collections.abc import Collection, Sequence

from streamproc.records.record import Record, TopicPartition


class MemoryNewest:
    """Gives ``records``, those of the partitions that are asked for; raises ``error`` instead when set."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.error: Exception | None = None
        self.asked = 0

    def read(self, topic: str, partitions: Collection[TopicPartition]) -> Sequence[Record]:
        """The newest records."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return [one for one in self.records if one.topic == topic and (not partitions or one.source in partitions)]
