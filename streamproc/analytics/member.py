"""One process of the app, without Kafka: the partitions that it owns, and what it tells the others of them."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamproc.analytics.fold import Fold
from streamproc.analytics.observation import observe_result, observe_segment
from streamproc.analytics.partial import Partial, Place, Progress, encode_partial, encode_progress, terms
from streamproc.analytics.windows import calendar
from streamproc.errors import PoisonError
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings


class Reader(Protocol):
    """Reads the columns of framed rows."""

    def read(self, value: bytes | None) -> Mapping[str, Any]:
        """The columns by name. Raises PoisonError for what is no such row, DependencyDownError."""
        ...


@dataclass(slots=True)
class Owned:
    """A partition: its fold, and the offset that comes next of each topic."""

    fold: Fold
    next: dict[str, int] = field(default_factory=dict)


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

    def own(self, partitions: Collection[int]) -> None:
        """Own these and no others; what is known of those that stay is kept."""
        ahead_ms = self._settings.analytics.ahead_s * 1000
        self._owned = {
            partition: self._owned.get(partition) or Owned(Fold(self._calendar, ahead_ms)) for partition in partitions
        }
        self._told = {partition: told for partition, told in self._told.items() if partition in self._owned}

    def next(self, topic: str, partition: int) -> int | None:
        """The offset that comes next of a partition that is owned; None where nothing was read."""
        return self._owned[partition].next.get(topic)

    def take(self, topic: str, partition: int, offset: int, timestamp_ms: int, value: bytes | None) -> None:
        """Take a row; one that was read already, or of a partition that is not owned, changes nothing.

        Raises DependencyDownError, after which it may be taken again.
        """
        owned = self._owned.get(partition)
        if owned is None or offset < owned.next.get(topic, 0):
            return
        try:
            self._fold(owned.fold, topic, self._readers[topic].read(value), timestamp_ms)
        except PoisonError:
            owned.fold.left_out["unreadable"] += 1
        owned.next[topic] = offset + 1

    def _fold(self, fold: Fold, topic: str, row: Mapping[str, Any], timestamp_ms: int) -> None:
        if topic == self._settings.topics.results:
            seen = observe_result(row, self._settings.analytics.attributes)
            if seen is None:
                fold.left_out["incomplete"] += 1
            else:
                fold.result(seen)
        elif (step := observe_segment(row, timestamp_ms, self._negative)) is not None:
            fold.segment(step)

    def records(self) -> list[OutputRecord]:
        """What to tell the others since this was asked last. Progress comes behind what it is the progress of."""
        topic = self._settings.topics.partials
        records = []
        for partition, owned in self._owned.items():
            for key, start, tally in owned.fold.changes():
                partial = Partial(Place(self._terms, partition, key, start), tally)
                records.append(OutputRecord(topic, *encode_partial(partial)))
            progress = Progress(self._terms, partition, owned.fold.watermark, Counter(owned.fold.left_out))
            if self._told.get(partition) != progress:
                self._told[partition] = progress
                records.append(OutputRecord(topic, *encode_progress(progress)))
        return records

    def tell_all(self) -> None:
        """Tell everything again: it is not known what the others heard."""
        self._told.clear()
        for owned in self._owned.values():
            owned.fold.tell_all()
