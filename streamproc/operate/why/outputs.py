"""Finding what one try of a record became: its outputs are written within a transaction's time of its ledger row."""

from collections.abc import Mapping, Sequence

from streamproc.errors import PoisonError
from streamproc.kafka.columns import Columns
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.kafka.partitioner import partition_of
from streamproc.kafka.registry import Registry
from streamproc.operate.dead_letter import DeadLetter, read_dead_letter
from streamproc.operate.place import Place
from streamproc.operate.why.life import Retry, Written
from streamproc.records.lane import read_attempt
from streamproc.records.record import Record, TopicPartition
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.settings import OVERDUE_S, Settings

_CLOCK_MS = 1_000
"""How far back a clock may have been set between a ledger row and its outputs."""
_RESULT = ("attempts", "input_topic", "input_partition", "input_offset")


class OutputSearch:
    """Used by one thread."""

    def __init__(self, settings: Settings, log: Log, registry: Registry) -> None:
        self._log = log
        self._topics = settings.topics
        self._span_ms = round(1000 * (settings.kafka.transaction_timeout_s + OVERDUE_S))
        self._places = Columns(registry, EmotionResult, _RESULT)
        self._results = Columns(registry, EmotionResult, EmotionResult._fields)
        self._segments = Columns(registry, EmotionSegment, ("result_id",))

    def find(self, origin: Place, attempts: int, committed_ms: int, key: bytes | None) -> Written | None:
        """What came of the try after ``attempts`` failed ones. The key, when it is known, tells where to look first."""
        topics = (self._topics.results, self._topics.dead_letters, *self._topics.lanes)
        for partitions in self._likely(topics, key):
            found: list[Written] = []
            for some in self._log.read(self._stretches(partitions, committed_ms), whole):
                found += [one for record in some if (one := self._outcome(record, origin, attempts))]
                if any(one.what.attempts == attempts + 1 for one in found):
                    break  # no other can come before it
            if found:
                return min(found, key=lambda one: one.what.attempts)
        return None

    def origin(self, record: Record) -> Place:
        """Where the record began that a lane record, a dead letter or a result tells of. Raises PoisonError."""
        if record.topic == self._topics.results:
            row = self._places.read(record.value)
            return Place(TopicPartition(row["input_topic"], row["input_partition"]), row["input_offset"])
        attempt = read_attempt(record, (record.topic,))  # dead letters have the same headers as lane records
        return Place(TopicPartition(attempt.topic, attempt.partition), attempt.offset)

    def segments(self, result: EmotionResult, committed_ms: int, key: bytes | None) -> Sequence[Place]:
        """Where the segments of a result stand, as many as it has."""
        found: list[Place] = []
        for partitions in self._likely((self._topics.segments,), key):
            for some in self._log.read(self._stretches(partitions, committed_ms), whole):
                found += [Place(one.source, one.offset) for one in some if self._is_of(one, result)]
                if len(found) >= result.segment_count:
                    return found
        return found

    def _likely(self, topics: Sequence[str], key: bytes | None) -> Sequence[Sequence[TopicPartition]]:
        """Where a key is put, then everywhere else."""
        named = [self._log.partitions(topic) for topic in topics]
        everywhere = [partition for partitions in named for partition in partitions]
        if key is None:
            return [everywhere]
        likely = [partitions[partition_of(key, len(partitions))] for partitions in named]
        return [likely, [partition for partition in everywhere if partition not in likely]]

    def _stretches(self, partitions: Sequence[TopicPartition], committed_ms: int) -> Mapping[TopicPartition, range]:
        first = self._log.at(partitions, committed_ms - _CLOCK_MS)
        end = self._log.at(partitions, committed_ms + self._span_ms)
        return {partition: range(first[partition], end[partition]) for partition in partitions}

    def _outcome(self, record: Record, origin: Place, attempts: int) -> Written | None:
        try:
            what = self._read(record, origin, attempts)
        except PoisonError:
            return None
        return None if what is None else Written(Place(record.source, record.offset), record.timestamp_ms, what)

    def _read(self, record: Record, origin: Place, attempts: int) -> EmotionResult | DeadLetter | Retry | None:
        """What the record is, if it came of a later try of this origin."""
        what: EmotionResult | DeadLetter | Retry | None
        if record.topic == self._topics.results:
            row = self._places.read(record.value)
            place = (row["input_topic"], row["input_partition"], row["input_offset"])
            if place != (*origin.partition, origin.offset) or (row["attempts"] or 0) <= attempts:
                return None
            return EmotionResult(**self._results.read(record.value))
        if record.topic == self._topics.dead_letters:
            what = read_dead_letter(record, None)
        else:
            what = _retry(record, self._topics.lanes)
        if what is None or (what.topic, what.partition, what.offset) != (*origin.partition, origin.offset):
            return None
        return what if what.attempts > attempts else None

    def _is_of(self, record: Record, result: EmotionResult) -> bool:
        try:
            return bool(self._segments.read(record.value)["result_id"] == result.result_id)
        except PoisonError:
            return False


def _retry(record: Record, lanes: tuple[str, ...]) -> Retry:
    """What a record on a lane says of itself. Raises PoisonError for one that is not ours."""
    attempt = read_attempt(record, lanes)
    stage, reason, message = (
        (record.header(name) or b"").decode("utf-8", "replace") for name in ("sp-stage", "sp-reason", "sp-message")
    )
    place = (attempt.topic, attempt.partition, attempt.offset)
    return Retry(*place, attempt.attempts, attempt.first_seen_ms, stage, reason, message)
