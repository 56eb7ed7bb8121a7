"""One process of the app, without Kafka: the partitions that it owns, and what it tells the others of them."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from streamproc.analytics.fold import Fold
from streamproc.analytics.observation import observe_result, observe_segment
from streamproc.analytics.partial import Partial, Place, Progress, encode_partial, encode_progress, terms
from streamproc.analytics.windows import calendar
from streamproc.errors import PoisonError
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings
from streamproc.telemetry.log import get_log

_log = get_log(__name__)


class Reader(Protocol):
    """Reads the columns of framed rows."""

    def read(self, value: bytes | None) -> Mapping[str, Any]:
        """The columns by name. Raises PoisonError for what is no such row, DependencyDownError."""
        ...


Starts = Mapping[int, Progress]
"""What the owner before said of each partition."""


@dataclass(slots=True)
class Owned:
    """A partition: its fold, and offsets by topic."""

    fold: Fold
    next: dict[str, int] = field(default_factory=dict)
    """What comes next."""
    before: Mapping[str, int] = field(default_factory=dict)
    """What came next for the owner before."""
    firsts: dict[int, dict[str, int]] = field(default_factory=dict)
    """The first row of each bucket."""

    def live_from(self) -> dict[str, int]:
        """The first offset of a row that is still needed, by topic.

        What is before it belongs to windows that are over: a successor that begins there has the same state when it has
        read as far as this one.
        """
        self.firsts = {start: firsts for start, firsts in self.firsts.items() if self.fold.kept(start)}
        return {
            topic: min((firsts[topic] for firsts in self.firsts.values() if topic in firsts), default=offset)
            for topic, offset in self.next.items()
        }


class Member:
    """Used by one thread at a time. The state of a partition is what was read of it, from the beginning on."""

    def __init__(self, settings: Settings, results: Reader, segments: Reader) -> None:
        self._settings = settings
        self._calendar = calendar(settings.analytics)
        self._terms = terms(settings)
        self._negative = frozenset(settings.analytics.negative_labels)
        self._readers = {settings.topics.results: results, settings.topics.segments: segments}
        self._owned: dict[int, Owned] = {}
        self._told: dict[int, Progress] = {}

    @property
    def partitions(self) -> frozenset[int]:
        """What it owns."""
        return frozenset(self._owned)

    def own(self, partitions: Collection[int], starts: Starts = MappingProxyType({})) -> None:
        """Own these and no others; those that stay are kept, others begin where the owner before said."""
        self._owned = {
            partition: self._owned.get(partition) or self._begin(starts.get(partition)) for partition in partitions
        }
        self._told = {partition: told for partition, told in self._told.items() if partition in self._owned}

    def _begin(self, before: Progress | None) -> Owned:
        app = self._settings.analytics
        fold = Fold(self._calendar, app.ahead_s * 1000, app.most_values)
        return Owned(fold) if before is None else Owned(fold, dict(before.live_from), before=before.read)

    def next(self, topic: str, partition: int) -> int | None:
        """The offset that comes next of a partition that is owned; None where nothing was read."""
        return self._owned[partition].next.get(topic)

    def read(self, topic: str, partition: int) -> int:
        """How far a partition that is owned was read, by this member or the owner before: its topic had so much."""
        owned = self._owned[partition]
        return max(owned.next.get(topic, 0), owned.before.get(topic, 0))

    def lacks(self, topic: str, partition: int, offset: int) -> bool:
        """Whether a row is of a partition that is owned, and was not read yet."""
        owned = self._owned.get(partition)
        return owned is not None and offset >= owned.next.get(topic, 0)

    def take(self, topic: str, partition: int, offset: int, timestamp_ms: int, value: bytes | None) -> None:
        """Take a row; one that was read already, or of a partition that is not owned, changes nothing.

        Raises DependencyDownError, after which it may be taken again.
        """
        if not self.lacks(topic, partition, offset):
            return
        owned = self._owned[partition]
        try:
            row = self._readers[topic].read(value)
            if self._fold(owned.fold, topic, row, timestamp_ms):
                owned.firsts.setdefault(self._calendar.bucket(row["recorded_at"]), {}).setdefault(topic, offset)
        except PoisonError as error:
            if not owned.fold.left_out["unreadable"]:  # the first says enough, however many another program wrote
                _log.warning("not a row of ours", topic=topic, partition=partition, offset=offset, detail=str(error))
            owned.fold.left_out["unreadable"] += 1
        owned.next[topic] = offset + 1

    def _fold(self, fold: Fold, topic: str, row: Mapping[str, Any], timestamp_ms: int) -> bool:
        """Whether a bucket needs the row."""
        if topic == self._settings.topics.results:
            seen = observe_result(row, timestamp_ms, self._settings.analytics.attributes)
            if seen is None:
                fold.left_out["incomplete"] += 1
            return seen is not None and fold.result(seen)
        step = observe_segment(row, timestamp_ms, self._negative)
        return step is not None and fold.segment(step)

    def records(self) -> list[OutputRecord]:
        """What to tell the others since this was asked last. Progress comes behind what it is the progress of."""
        topic = self._settings.topics.partials
        records = []
        for partition, owned in self._owned.items():
            for key, start, tally in owned.fold.changes():
                partial = Partial(Place(self._terms, partition, key, start), tally)
                records.append(OutputRecord(topic, *encode_partial(partial)))
            left_out = Counter(owned.fold.left_out)
            live_from, read = owned.live_from(), dict(owned.next)
            progress = Progress(self._terms, partition, owned.fold.watermark, left_out, live_from, read)
            if self._told.get(partition) != progress:
                self._told[partition] = progress
                records.append(OutputRecord(topic, *encode_progress(progress)))
        return records

    def tell_all(self) -> None:
        """Tell everything again: it is not known what the others heard."""
        self._told.clear()
        for owned in self._owned.values():
            owned.fold.tell_all()
