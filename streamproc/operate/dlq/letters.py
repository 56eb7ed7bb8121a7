"""Reading dead letters."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace

from streamproc.errors import UsageError
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.kafka.registry import Registry, connect
from streamproc.operate.dead_letter import NO_LETTER
from streamproc.operate.dlq.back import Back, UndecidedError, read_back
from streamproc.operate.dlq.choice import Choice
from streamproc.operate.dlq.letter import Letter, read_letter
from streamproc.operate.dlq.slices import slices
from streamproc.operate.foreign import Foreign
from streamproc.operate.originals import Originals
from streamproc.operate.place import Place
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import OVERDUE_S, Settings
from streamproc.telemetry.log import get_log

_log = get_log(__name__)

GLANCE_S = 2.0
"""What who only looks waits for a replay's transaction that is open."""
WORKERS_CLOCKS_MS = 60_000
"""How much older than the first letter of a partition the next may be: workers' clocks differ."""
_ORDERED = 5_000
"""Letters that are put in order at a time, without what they began as: some MiB."""


class Letters:
    """The dead letters of one input topic, up to what is there when they are asked for. Used by one thread.

    ``certain`` is for who puts letters back: what went back before has to be known, or UndecidedError is raised.
    """

    def __init__(self, settings: Settings, log: Log, registry: Registry, *, certain: bool = False) -> None:
        self._topics = settings.topics
        self._certain = certain
        self._patience_s = settings.kafka.transaction_timeout_s + OVERDUE_S if certain else GLANCE_S
        self.log = log
        self.foreign = Foreign()
        """What no worker of ours wrote, as far as was read."""
        self.undecided = False
        """Whether more may have been put back than is told: a replay's transaction is open."""
        self._originals = Originals(registry, settings.topics.recordings, time.monotonic)

    def stretches(self, since_ms: int) -> Mapping[TopicPartition, range]:
        """From the first letter at or after a moment (ms since the epoch) to the end of now, per partition."""
        kept = self.log.bounds(self.log.partitions(self._topics.dead_letters))
        starts = self.log.at(kept, since_ms) if since_ms else {}
        return {p: range(max(starts.get(p, 0), stretch.start), stretch.stop) for p, stretch in kept.items()}

    def read(self, stretches: Mapping[TopicPartition, range], since_ms: int = 0) -> Iterator[list[Letter]]:
        """Letters as they arrive, those of one partition in order. Records that are none are left out.

        What was put back of those that were given up at ``since_ms`` or later is known, as of now.
        """
        return self._read(stretches, self._back(stretches, since_ms or self._first_ms(stretches)))

    def chosen(self, choice: Choice) -> Iterator[Letter]:
        """The letters that are meant."""
        for some in self.read(self.stretches(choice.since_ms), choice.since_ms):
            yield from (letter for letter in some if choice.takes(letter))

    def in_order(self, choice: Choice) -> Iterator[Letter]:
        """The same by time, the oldest first, and without what they began as: neither value nor event."""
        stretches = self.stretches(choice.since_ms)
        first_ms = choice.since_ms or self._first_ms(stretches)
        back = self._back(stretches, first_ms)
        now_ms = time.time_ns() // 1_000_000
        for part in slices(stretches, first_ms, now_ms, lambda at_ms: self.log.at(stretches, at_ms), _ORDERED):
            found = [_bare(letter) for some in self._read(part, back) for letter in some if choice.takes(letter)]
            yield from sorted(found, key=lambda letter: (letter.told.at_ms, letter.place))

    def one(self, place: Place) -> Letter:
        """The letter at a place, or the last one that began there. Raises UsageError when there is none."""
        if place.partition.topic == self._topics.dead_letters:
            return self._at(place)
        found = list(self.chosen(Choice(origin=place)))
        if not found:
            topic, known = place.partition.topic, self._topics.of_records
            foreign = f"{topic} is no topic of these settings, whose input is {self._topics.recordings}"
            raise UsageError(
                f"no dead letter stands at {place} or began there, as far as {self._topics.dead_letters} is kept: "
                + (f"`streamproc why {place}` tells what became of that record" if topic in known else foreign)
            )
        return found[-1]

    def _at(self, place: Place) -> Letter:
        kept = self.stretches(0)
        if place.partition not in kept:
            raise UsageError(
                f"{place.partition.topic} has no partition {place.partition.partition}: it has {len(kept)}"
            )
        stretch = kept[place.partition]
        if place.offset not in stretch:
            raise UsageError(
                f"{place} is not kept: {place.partition} begins at {stretch.start} and ends before {stretch.stop}"
            )
        one = {place.partition: range(place.offset, place.offset + 1)}
        found = [letter for some in self.read(one) for letter in some]
        if not found:
            told = self.foreign.line if self.foreign.count else "the end of a transaction, or what was aborted"
            raise UsageError(f"no dead letter stands at {place}: {told}")
        return found[0]

    def _read(self, stretches: Mapping[TopicPartition, range], back: Back) -> Iterator[list[Letter]]:
        for some in self.log.read(stretches, whole):
            yield [letter for record in some if (letter := self._letter(record, back)) is not None]

    def _back(self, stretches: Mapping[TopicPartition, range], since_ms: int) -> Back:
        if self._certain and not self.log.settled(self.log.partitions(self._topics.replays), GLANCE_S):
            _log.warning("a replay's transaction is open", topic=self._topics.replays, seconds=self._patience_s)
        back = read_back(self.log, self._topics, self.foreign, stretches, since_ms, self._patience_s)
        if back.undecided and self._certain:
            raise UndecidedError(self._topics.replays, self._patience_s)
        self.undecided = back.undecided
        return back

    def _first_ms(self, stretches: Mapping[TopicPartition, range]) -> int:
        """None of the letters was given up earlier; 0 without any."""
        firsts = (self.log.first({place: stretch}, whole) for place, stretch in stretches.items())
        times = [first.timestamp_ms for first in firsts if first is not None]
        return max(0, min(times, default=0) - WORKERS_CLOCKS_MS)

    def _letter(self, record: Record, back: Back) -> Letter | None:
        went = back.find(record.source, record.offset, record.timestamp_ms)
        letter = read_letter(record, self._originals, None if went is None else went.at_ms)
        if letter is None:
            self.foreign.note(record, NO_LETTER)
        return letter


def _bare(letter: Letter) -> Letter:
    """A letter without what it began as, which may be a MiB."""
    return replace(letter, record=letter.record._replace(value=None), event=None)


@contextmanager
def open_letters(settings: Settings, *, certain: bool = False) -> Iterator[Letters]:
    """Read dead letters. Raises UsageError, DependencyDownError."""
    with connect(settings.registry) as registry, closing(Log(settings, settings.kafka.group)) as log:
        yield Letters(settings, log, registry, certain=certain)
