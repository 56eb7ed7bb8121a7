"""Reading topics without a group: from a moment or from the end on, committed records only."""

from collections.abc import Mapping, Sequence

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from streamproc.kafka.config import build, client_config
from streamproc.kafka.errors import END_OF_PARTITION
from streamproc.kafka.lookup import LATEST, Lookup
from streamproc.kafka.messages import origin_of, to_record
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import Settings

_MOST_RECORDS = 512


class Tail:
    """All partitions of some topics. Commits nothing, so any number of these disturb nobody.

    ``since_ms`` is where to begin, in ms since the epoch; None begins behind what is there now. Used by one thread.
    Raises UsageError for a topic that is not there, DependencyDownError.
    """

    def __init__(self, settings: Settings, topics: Sequence[str], since_ms: int | None) -> None:
        config = client_config(settings)
        config |= {
            "group.id": f"{settings.kafka.group}-reader",  # librdkafka wants one; it is never joined
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",  # what retention took while we read is not ours to judge
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
        self._consumer = build(Consumer, config)
        self._lookup = Lookup(self._consumer, settings.kafka.bootstrap_servers)
        self._reached: dict[TopicPartition, int] = {}
        self._trouble: KafkaError | None = None
        try:
            partitions = [partition for topic in topics for partition in self._lookup.partitions(topic)]
            self._reached = dict(self._starts(partitions, since_ms))
            self._consumer.assign(
                [confluent_kafka.TopicPartition(p.topic, p.partition, at) for p, at in self._reached.items()]
            )
        except KafkaException as raised:
            self._consumer.close()
            raise self._lookup.down(raised) from raised
        except BaseException:
            self._consumer.close()
            raise

    def ends(self) -> Mapping[TopicPartition, int]:
        """The offset behind the last committed record of each partition, as of now. Raises DependencyDownError."""
        try:
            return self._lookup.offsets(self._reached, LATEST)
        except KafkaException as raised:
            raise self._lookup.down(raised) from raised

    def reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether everything before these offsets was given out."""
        return all(self._reached[partition] >= offset for partition, offset in ends.items())

    def poll(self, timeout_s: float) -> Sequence[Record]:
        """Records that arrived within ``timeout_s``; those of one partition in order.

        Raises DependencyDownError, after which it may be called again: no record is lost by it.
        """
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            self._lookup.judge(trouble)
        records = []
        for message in self._consumer.consume(_MOST_RECORDS, timeout_s):
            error = message.error()
            origin = origin_of(message)
            if error is None:
                record = to_record(message, origin)
                self._reached[origin] = record.offset + 1
                records.append(record)
            elif error.code() == END_OF_PARTITION:
                # Behind the last record may stand what readers never see: the end marks of transactions.
                self._reached[origin] = message.offset() or 0
            else:
                self._trouble = error  # told by the next call: records came with it
        return records

    def close(self) -> None:
        """Drop the connection."""
        self._consumer.close()

    def _starts(self, partitions: Sequence[TopicPartition], since_ms: int | None) -> Mapping[TopicPartition, int]:
        ends = self._lookup.offsets(partitions, LATEST)
        if since_ms is None:
            return ends
        found = self._lookup.offsets(partitions, since_ms)
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}
