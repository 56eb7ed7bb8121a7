"""Reading two periods from the topics alone."""

from array import array
from collections.abc import Iterator, Mapping
from contextlib import closing

from streamproc.errors import PoisonError, UsageError
from streamproc.kafka.columns import Columns
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.kafka.registry import connect
from streamproc.operate.dead_letter import read_dead_letter
from streamproc.operate.report.anomaly import anomalies
from streamproc.operate.report.period import Gathered, Period
from streamproc.operate.report.report import Report
from streamproc.records.record import Record, TopicPartition
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from streamproc.telemetry.told import Told

MOST_RECORDS = 20_000_000
"""Of the topics together: 9 bytes for an input record, up to 24 for what became of it."""
EARLIER_MS = 3_600_000
"""How long before the periods an input record may have been announced for its response time to be known."""
OPEN_S = 10.0
"""For transactions that are open now."""
_COLUMNS = (
    *("processing_ms", "duration_ms", "tier", "status", "label"),
    *("input_topic", "input_partition", "input_offset"),
)


def report(settings: Settings, begin_ms: int, end_ms: int, told: Told) -> Report:
    """What ended from ``begin_ms`` to ``end_ms`` (ms since the epoch). Commits nothing and disturbs nobody.

    Raises UsageError for more records than it can hold, DependencyDownError.
    """
    with connect(settings.registry) as registry, closing(Log(settings, f"{settings.kafka.group}-reader")) as log:
        return _Reader(settings, log, Columns(registry, EmotionResult, _COLUMNS), told).read(begin_ms, end_ms)


class _Reader:
    def __init__(self, settings: Settings, log: Log, columns: Columns, told: Told) -> None:
        self._topics = settings.topics
        self._log = log
        self._columns = columns
        self._told = told
        self._began: dict[int, tuple[int, array[int]]] = {}
        """By input partition: the first offset, and the time of each record from there on, 0 for none."""
        self._ended: dict[int, bytearray] = {}
        """The same, whether it has an end."""
        self._again = 0
        """Ends of records that had one."""
        self._unreadable = 0

    def read(self, begin_ms: int, end_ms: int) -> Report:
        first_ms = 2 * begin_ms - end_ms
        announced = self._stretches(self._topics.recordings, first_ms - EARLIER_MS)
        results = self._stretches(self._topics.results, first_ms)
        letters = self._stretches(self._topics.dead_letters, first_ms)
        count = sum(len(one) for some in (announced, results, letters) for one in some.values())
        if count > MOST_RECORDS:
            raise UsageError(f"these are {count} records, and {MOST_RECORDS} are the most: ask for a shorter period")
        before, now = Gathered(first_ms, begin_ms), Gathered(begin_ms, end_ms)
        self._begin(announced)
        for record in self._each("results", results):
            if (into := _fitting(record.timestamp_ms, before, now)) is not None:
                self._result(record, into)
        for record in self._each("dead letters", letters):
            if (into := _fitting(record.timestamp_ms, before, now)) is not None:
                self._dead_letter(record, into)
        periods = now.period(), before.period()
        notes = (*_notes(*periods), *self._twice())
        return Report(*periods, tuple(anomalies(*periods)), self._unreadable, notes=notes)

    def _stretches(self, topic: str, since_ms: int) -> Mapping[TopicPartition, range]:
        kept = self._log.decided(self._log.partitions(topic), OPEN_S)
        starts = self._log.at(kept, max(0, since_ms))
        return {place: range(max(one.start, starts[place]), one.stop) for place, one in kept.items()}

    def _begin(self, stretches: Mapping[TopicPartition, range]) -> None:
        self._began = {
            place.partition: (one.start, array("q", bytes(8 * len(one)))) for place, one in stretches.items()
        }
        self._ended = {place.partition: bytearray(len(one)) for place, one in stretches.items()}
        for record in self._each("input", stretches):
            first, times = self._began[record.source.partition]
            times[record.offset - first] = record.timestamp_ms

    def _each(self, name: str, stretches: Mapping[TopicPartition, range]) -> Iterator[Record]:
        done, total = 0, sum(map(len, stretches.values()))
        for some in self._log.read(stretches, whole):
            yield from some
            done += len(some)
            self._told(name, "read", done, total)
        if done < total:  # the rest are marks of transactions, which are offsets and no records
            self._told(name, "read", total, total)

    def _result(self, record: Record, into: Gathered) -> None:
        try:
            row = self._columns.read(record.value)
        except PoisonError:
            self._unreadable += 1
            return
        began_ms = self._end(row["input_topic"], row["input_partition"], row["input_offset"])
        into.result(record.timestamp_ms, row, began_ms)

    def _dead_letter(self, record: Record, into: Gathered) -> None:
        letter = read_dead_letter(record, None)
        if letter is None:
            self._unreadable += 1
        else:
            self._end(letter.topic, letter.partition, letter.offset)
            into.dead_letter(record.timestamp_ms, letter.reason, letter.first_seen_ms)

    def _end(self, topic: str, partition: int, offset: int) -> int | None:
        """Count an end; when the input record of it was announced (ms), None where that is not known."""
        if topic != self._topics.recordings or partition not in self._began:
            return None
        first, times = self._began[partition]
        index = offset - first
        if not 0 <= index < len(times):
            return None
        self._again += self._ended[partition][index]
        self._ended[partition][index] = 1
        return times[index] or None

    def _twice(self) -> Iterator[str]:
        if self._again:
            yield (
                f"{self._again} ends are of records that had one already, and all of them count: several groups work "
                "on these topics, which a topic does not tell apart, or kafka.delivery is at_least_once"
            )


def _notes(now: Period, before: Period) -> Iterator[str]:
    for name, one in (("this period", now), ("the one before", before)):
        if one.ended and one.response is None:
            yield (
                f"response times of {name} are not known: the input of {one.unknown} of its {one.ended} ends is not "
                "kept any more, or is over an hour older"
            )


def _fitting(at_ms: int, *periods: Gathered) -> Gathered | None:
    return next((one for one in periods if one.begin_ms <= at_ms < one.end_ms), None)
