"""Finding where an event was announced, by its id and a time that is about right."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing

from streamproc.errors import PoisonError, UsageError
from streamproc.kafka.columns import Columns
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.kafka.registry import Registry, connect
from streamproc.operate.dead_letter import read_dead_letter
from streamproc.operate.originals import Originals
from streamproc.operate.place import Place
from streamproc.records.record import Record, TopicPartition
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings

WINDOWS_MS = (10_000, 120_000, 900_000)
"""How far from the time that was named is looked, one after the other (ms)."""
_NAMES = ("event_id", "input_topic", "input_partition", "input_offset")


def find_event(settings: Settings, event_id: str, around_ms: int) -> tuple[Place, ...]:
    """Where the event was announced: more than one place when its producer sent it more than once within the time.

    Input, results and dead letters are looked through, so that an input that is gone does not matter. Raises UsageError
    when it is nowhere within 15 minutes of ``around_ms`` (ms since the epoch); DependencyDownError.
    """
    with connect(settings.registry) as registry, closing(Log(settings, settings.kafka.group)) as log:
        search = _Search(settings, log, registry, event_id)
        # An id that the producer did not give is made of bucket and key, so that only decoding tells: that comes last.
        for decode in (False, True):
            before = (around_ms, around_ms)
            for reach in WINDOWS_MS:
                wider = (around_ms - reach, around_ms + reach)
                rings = ((wider[0], before[0]), (before[1], wider[1]))
                found = {place for ring in rings for place in search.within(*ring, decode=decode)}
                if found:
                    return tuple(sorted(found))
                before = wider
    minutes = WINDOWS_MS[-1] // 60_000
    raise UsageError(
        f"no record, result or dead letter within {minutes} minutes of that time has event_id {event_id[:64]!r}: "
        "was it announced to this topic, and at about this time?"
    )


class _Search:
    def __init__(self, settings: Settings, log: Log, registry: Registry, event_id: str) -> None:
        topics = settings.topics
        self._log = log
        self._topics = topics
        self._event_id = event_id
        self._text = event_id.encode()
        self._originals = Originals(registry, topics.recordings, time.monotonic)
        self._results = Columns(registry, EmotionResult, _NAMES)
        self._partitions = [
            partition
            for topic in (topics.recordings, topics.results, topics.dead_letters)
            for partition in log.partitions(topic)
        ]

    def within(self, first_ms: int, end_ms: int, *, decode: bool) -> Iterator[Place]:
        """Where the event began, told by records of these times; without ``decode`` only by those that spell its id."""
        starts, ends = self._log.at(self._partitions, first_ms), self._log.at(self._partitions, end_ms)
        stretches: Mapping[TopicPartition, range] = {p: range(starts[p], ends[p]) for p in self._partitions}
        for some in self._log.read(stretches, whole):
            for record in some:
                spelt = record.value is not None and self._text in record.value
                if (spelt or decode) and (place := self._place(record)) is not None:
                    yield place

    def _place(self, record: Record) -> Place | None:
        if record.topic == self._topics.results:
            return self._of_result(record)
        event = self._originals.read(record.value)
        if event is None or event.event_id != self._event_id:
            return None
        if record.topic == self._topics.recordings:
            return Place(record.source, record.offset)
        told = read_dead_letter(record, event)
        return None if told is None else Place(TopicPartition(told.topic, told.partition), told.offset)

    def _of_result(self, record: Record) -> Place | None:
        try:
            row = self._results.read(record.value)
        except PoisonError:
            return None
        if row["event_id"] != self._event_id:
            return None
        return Place(TopicPartition(row["input_topic"], row["input_partition"]), row["input_offset"])
