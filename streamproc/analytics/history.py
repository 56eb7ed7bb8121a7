"""What the topics keep: a member that takes over reads it, and so does a rebuild."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Self

from streamproc.analytics.agreement import Agreed, Agreement
from streamproc.analytics.emission import Published
from streamproc.analytics.member import Member
from streamproc.analytics.observation import RESULT_COLUMNS, SEGMENT_COLUMNS
from streamproc.analytics.partial import Progress, UnreadablePartialError, decode, decode_agreement, terms
from streamproc.analytics.windows import calendar
from streamproc.errors import PoisonError, UsageError
from streamproc.kafka.columns import Columns
from streamproc.kafka.log import Log
from streamproc.kafka.messages import dated, keyed
from streamproc.kafka.registry import Registry, connect
from streamproc.patience import StoppedError
from streamproc.records.alert import EmotionAlert
from streamproc.records.record import TopicPartition
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.trend import EmotionTrend
from streamproc.settings import Settings
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
Taken = tuple[str, int, int, int, bytes | None]
"""Topic, partition, offset, time (ms since the epoch), value."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the processes of the app said last, on the topic of partials."""

    agreed: Agreed | None
    """Which settings they have; None where none of them said it yet."""
    read: Mapping[TopicPartition, int]
    """With settings like ours: so far rows were read."""


@dataclass(slots=True)
class Passed:
    """Records of a topic that are no rows of ours; the first of them, and how many."""

    topic: str
    partition: int
    offset: int
    detail: str
    count: int = 0

    def __str__(self) -> str:
        return (
            f"not rows of ours: {self.count} of {self.topic}, the first at offset {self.offset} of partition "
            f"{self.partition}: {self.detail}. Does another program write there, or delete?"
        )

    def tell(self) -> None:
        """Say so once, however many another program wrote."""
        _log.warning(
            "not rows of ours",
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            count=self.count,
            detail=f"the first: {self.detail}. Does another program write there, or delete?",
        )


def result_columns(registry: Registry) -> Columns:
    """Reads what counts of results."""
    return Columns(registry, EmotionResult, RESULT_COLUMNS)


def segment_columns(registry: Registry) -> Columns:
    """Reads what counts of segments."""
    return Columns(registry, EmotionSegment, SEGMENT_COLUMNS)


class History:
    """Reads topics to their end. Used by one thread. Methods raise DependencyDownError.

    Whoever reads on while ``stopping`` is set gets a StoppedError.
    """

    def __init__(self, settings: Settings, stopping: threading.Event | None = None) -> None:
        self._settings = settings
        self._calendar = calendar(settings.analytics)
        self._terms = terms(settings)
        self._stopping = stopping or threading.Event()
        self.whole_from_ms = 0
        """Of windows that begin before this, retention took rows before they were read here."""
        self.passed: Sequence[Passed] = ()
        """What was passed over when ``published`` was asked for last."""
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
        """Of the results. Raises UsageError when a topic of the app is not there, or the segments have others."""
        topics = self._settings.topics
        for own in (topics.partials, topics.trends, topics.alerts):
            self._log.partitions(own)
        counts = {topic: len(self._log.partitions(topic)) for topic in (topics.results, topics.segments)}
        if len(set(counts.values())) > 1:
            told = " and ".join(f"{topic} {count}" for topic, count in counts.items())
            raise UsageError(f"results and segments need the same number of partitions: {told}")
        return range(counts[topics.results])

    def catch_up(self, member: Member) -> int:
        """Give a member all that is committed of its partitions and that it has not read; how many rows that was.

        Raises UsageError for topics that are not those that were read before.
        """
        self._go_on()
        topics = self._settings.topics
        asked = [TopicPartition(t, p) for t in (topics.results, topics.segments) for p in sorted(member.partitions)]
        bounds = self._log.bounds(asked)
        _refuse_anew({place: member.read(*place) for place in asked}, bounds)
        stretches = {
            place: range(max(bound.start, member.next(*place) or 0), bound.stop) for place, bound in bounds.items()
        }
        shortened = {place for place, stretch in stretches.items() if stretch.start and member.next(*place) is None}
        rows = 0
        for taken in self._read(stretches):
            rows += 1
            if shortened and (place := TopicPartition(*taken[:2])) in shortened:
                shortened.remove(place)
                self._lacks_before(taken[3])
            member.take(*taken)
        return rows

    def _lacks_before(self, at_ms: int) -> None:
        """Note when the first row that is kept of a topic was written: those before it are gone."""
        self.whole_from_ms = max(self.whole_from_ms, at_ms + self._settings.analytics.ahead_s * 1000)

    def published(self, over_ms: int) -> Published:
        """The trends and alerts that readers have, of windows that ended later than ``over_ms``.

        Such a row was not written before its window began, but for clocks that are ahead. What is no such row, a
        tombstone or another program's, is passed over and told.
        """
        published, topics = Published(), self._settings.topics
        columns = {
            topics.trends: (EmotionTrend, Columns(self._registry, EmotionTrend, EmotionTrend.__dataclass_fields__)),
            topics.alerts: (EmotionAlert, Columns(self._registry, EmotionAlert, EmotionAlert.__dataclass_fields__)),
        }
        places = [place for topic in columns for place in self._log.partitions(topic)]
        since_ms = over_ms - self._calendar.longest_ms - self._settings.analytics.ahead_s * 1000
        begins = self._log.at(places, max(0, since_ms))
        stretches = {place: range(begins[place], bound.stop) for place, bound in self._log.bounds(places).items()}
        passed: dict[str, Passed] = {}
        for topic, partition, offset, _, value in self._read(stretches):
            kind, reader = columns[topic]
            try:
                fields: Mapping[str, Any] = reader.read(value)
            except PoisonError as error:
                passed.setdefault(topic, Passed(topic, partition, offset, str(error))).count += 1
            else:
                if fields["window_end"] > over_ms:
                    published.put(kind(**fields))
        self.passed = tuple(passed.values())
        for one in self.passed:
            one.tell()
        return published

    def told(self) -> Told:
        """What stands on the topic of partials."""
        agreed: Agreed | None = None
        read: dict[TopicPartition, int] = {}
        bounds = self._log.bounds(self._log.partitions(self._settings.topics.partials))
        for batch in self._log.read(bounds, keyed):
            self._go_on()
            for _, key, value in batch:
                with suppress(UnreadablePartialError):  # the app tells of it
                    told = decode_agreement(key, value) or decode(key, value)
                    if isinstance(told, Agreement) and told.group == self._settings.analytics.group:
                        agreed = told.agreed
                    if isinstance(told, Progress) and told.terms == self._terms:
                        read |= {TopicPartition(topic, told.partition): at for topic, at in told.read.items()}
        return Told(agreed, read)

    def refuse_anew(self, read: Mapping[TopicPartition, int]) -> None:
        """Raise UsageError when topics end before what was read of them: they are others of the same names."""
        there = {place for topic in {place.topic for place in read} for place in self._log.partitions(topic)}
        _refuse_anew(read, self._log.bounds(there))

    def member(self, partitions: Iterable[int]) -> Member:
        """A member that owns these, and has read nothing."""
        member = Member(self._settings, result_columns(self._registry), segment_columns(self._registry))
        member.own(list(partitions))
        return member

    def _read(self, stretches: Mapping[TopicPartition, range]) -> Iterator[Taken]:
        for batch in self._log.read(stretches, dated):
            self._go_on()
            yield from batch

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise StoppedError("stopped while it read topics")


def _refuse_anew(read: Mapping[TopicPartition, int], bounds: Mapping[TopicPartition, range]) -> None:
    for place, offset in read.items():
        end = bounds[place].stop if place in bounds else 0
        if offset > end:
            raise UsageError(
                f"{place} ends at {end}, but was read up to {offset}: was the topic made anew? Then give the app names "
                "of its own: another analytics.group, topics.partials, topics.trends and topics.alerts. With the last "
                "two as they are it empties the rows that readers have of before"
            )
