"""What the topics keep: a member that takes over reads it, and so does a rebuild."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Self

from confluent_kafka import Message

from streamproc.analytics.emission import Published
from streamproc.analytics.member import Member
from streamproc.analytics.observation import RESULT_COLUMNS, SEGMENT_COLUMNS
from streamproc.errors import PoisonError, StreamprocError
from streamproc.kafka.columns import Columns
from streamproc.kafka.log import Log
from streamproc.kafka.registry import Registry, connect
from streamproc.records.alert import EmotionAlert
from streamproc.records.record import TopicPartition
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.trend import EmotionTrend
from streamproc.settings import Settings

Taken = tuple[str, int, int, int, bytes | None]
"""Topic, partition, offset, time (ms since the epoch), value."""


class UnreadableTrendError(StreamprocError):
    """Raised for a record of the trends or alerts that is no such row; another program wrote it."""


def result_columns(registry: Registry) -> Columns:
    """Reads what counts of results."""
    return Columns(registry, EmotionResult, RESULT_COLUMNS)


def segment_columns(registry: Registry) -> Columns:
    """Reads what counts of segments."""
    return Columns(registry, EmotionSegment, SEGMENT_COLUMNS)


class History:
    """Reads topics to their end. Used by one thread. Methods raise DependencyDownError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with ExitStack() as stack:
            self._log = Log(settings, settings.analytics.group)
            stack.callback(self._log.close)
            self._registry = stack.enter_context(connect(settings.registry))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def partitions(self) -> range:
        """Of the results. Raises UsageError when a topic is not there, or the segments have others."""
        topics = self._settings.topics
        counts = {topic: len(self._log.partitions(topic)) for topic in (topics.results, topics.segments)}
        if len(set(counts.values())) > 1:
            told = " and ".join(f"{topic} {count}" for topic, count in counts.items())
            raise StreamprocError(f"results and segments need the same number of partitions: {told}")
        return range(counts[topics.results])

    def catch_up(self, member: Member) -> int:
        """Give a member all that is committed of its partitions and that it has not read; how many rows that was."""
        topics = self._settings.topics
        asked = [TopicPartition(t, p) for t in (topics.results, topics.segments) for p in sorted(member.partitions)]
        bounds = self._log.bounds(asked)
        for place in asked:
            if (member.next(*place) or 0) > bounds[place].stop:
                member.begin_anew(place.partition)
        stretches = {
            place: range(max(bound.start, member.next(*place) or 0), bound.stop) for place, bound in bounds.items()
        }
        rows = 0
        for taken in self._read(stretches):
            rows += 1
            member.take(*taken)
        return rows

    def published(self) -> Published:
        """The trends and alerts that readers have."""
        published, topics = Published(), self._settings.topics
        columns = {
            topics.trends: (EmotionTrend, Columns(self._registry, EmotionTrend, EmotionTrend.__dataclass_fields__)),
            topics.alerts: (EmotionAlert, Columns(self._registry, EmotionAlert, EmotionAlert.__dataclass_fields__)),
        }
        places = [place for topic in columns for place in self._log.partitions(topic)]
        for topic, partition, offset, _, value in self._read(self._log.bounds(places)):
            kind, reader = columns[topic]
            try:
                fields: Mapping[str, Any] = reader.read(value)
            except PoisonError as error:
                raise UnreadableTrendError(
                    f"{topic}/{partition}/{offset} is no {kind.__name__}: {error}. Does another program write there?"
                ) from error
            published.put(kind(**fields))
        return published

    def member(self, partitions: Iterable[int]) -> Member:
        """A member that owns these, and has read nothing."""
        member = Member(self._settings, result_columns(self._registry), segment_columns(self._registry))
        member.own(list(partitions))
        return member

    def _read(self, stretches: Mapping[TopicPartition, range]) -> Iterator[Taken]:
        for batch in self._log.read(stretches, _taken):
            yield from batch


def _taken(message: "Message[bytes, bytes]") -> Taken:
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    return topic, partition, offset, message.timestamp()[1], message.value()
