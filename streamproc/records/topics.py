"""The topics: who is called what, how many partitions, how long records stay, how large they may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from streamproc.records.alert import EmotionAlert
from streamproc.records.avro import Row
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.trend import EmotionTrend
from streamproc.settings import TopicSettings

MAX_INPUT_BYTES = 1024**2
"""Largest batch of the input topic, as the broker stores it (it may unpack to more)."""
MAX_FORWARDED_BYTES = MAX_INPUT_BYTES + 64 * 1024
"""The same for lanes and dead letters: an input record and our headers."""

TREND_PARTITIONS = 3
"""Of trends and of alerts: these are few rows, however many results there are."""


class Compatibility(StrEnum):
    """What the registry holds a subject's next version to."""

    INPUT = "BACKWARD_TRANSITIVE"
    """Our schema reads every event that was ever written."""
    OUTPUT = "FULL_TRANSITIVE"
    """Besides, readers of any age read what we write."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic has to be."""

    name: str
    partitions: int
    retention: timedelta
    max_message_bytes: int
    cleanup: str = "delete"
    """As the broker calls it. Compaction would drop records that have an outcome due."""
    roll: timedelta | None = None
    """What is compacted is so within about this: the newest piece of a log is not, which is a week by default."""
    stamped: bool = False
    """Whether the broker stamps records with its own clock, which is how that is compared with ours."""

    @property
    def config(self) -> Mapping[str, str]:
        """The same in the broker's words."""
        rolled = {} if self.roll is None else {"segment.ms": _ms(self.roll), "min.cleanable.dirty.ratio": "0.1"}
        return rolled | {
            "cleanup.policy": self.cleanup,
            "retention.ms": _ms(self.retention),
            "max.message.bytes": str(self.max_message_bytes),
            **({"message.timestamp.type": "LogAppendTime"} if self.stamped else {}),
        }


def topic_specs(topics: TopicSettings) -> tuple[TopicSpec, ...]:
    """Every topic that a worker or a replay reads or writes.

    What replays note outlives the letters: one that is forgotten to have been put back goes back twice.
    """
    week, month, day = timedelta(days=7), timedelta(days=30), timedelta(days=1)
    return (
        TopicSpec(topics.recordings, topics.partitions, week, MAX_INPUT_BYTES),
        *(TopicSpec(lane, topics.lane_partitions, week, MAX_FORWARDED_BYTES) for lane in topics.lanes),
        TopicSpec(topics.dead_letters, topics.lane_partitions, month, MAX_FORWARDED_BYTES),
        TopicSpec(topics.replays, 1, month + day, MAX_INPUT_BYTES),
        TopicSpec(topics.results, topics.partitions, month, MAX_INPUT_BYTES),
        TopicSpec(topics.segments, topics.partitions, month, MAX_INPUT_BYTES),
        TopicSpec(topics.ledger, topics.partitions, month, MAX_INPUT_BYTES, stamped=True),
    )


def analytics_specs(topics: TopicSettings) -> tuple[TopicSpec, ...]:
    """Every topic that the analytics app writes: rows that are written again, so that the last of each is enough.

    Members delete partials when their windows are over, and retention those of members that are no more. All are on one
    partition, since all read all: often compacted, since that is read at every start.
    """
    month, hour, often = timedelta(days=30), timedelta(hours=1), timedelta(minutes=10)
    both = "compact,delete"
    return (
        TopicSpec(topics.trends, TREND_PARTITIONS, month, MAX_INPUT_BYTES, both, hour),
        TopicSpec(topics.alerts, TREND_PARTITIONS, month, MAX_INPUT_BYTES, both, hour),
        TopicSpec(topics.partials, 1, month, MAX_INPUT_BYTES, both, often),
    )


def warehouse_specs(topics: TopicSettings) -> tuple[TopicSpec, ...]:
    """Every topic that only connectors of the warehouse write. Connect itself would make it with one partition, too."""
    return (TopicSpec(topics.connect_dead_letters, 1, timedelta(days=30), MAX_INPUT_BYTES),)


def _ms(time: timedelta) -> str:
    return str(time // timedelta(milliseconds=1))


def subject(topic: str) -> str:
    """The subject that a topic's value schemas are registered under."""
    return f"{topic}-value"


def row_types(topics: TopicSettings) -> Mapping[str, type[Row]]:
    """What is registered under the subject of which topic."""
    return {
        topics.recordings: RecordingEvent,
        topics.results: EmotionResult,
        topics.segments: EmotionSegment,
        topics.ledger: LedgerEntry,
        topics.trends: EmotionTrend,
        topics.alerts: EmotionAlert,
    }


def compatibility(row: type[Row]) -> Compatibility:
    """How a row's schema may change."""
    return Compatibility.INPUT if row is RecordingEvent else Compatibility.OUTPUT
