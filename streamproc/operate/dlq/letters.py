"""Reading dead letters."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from streamproc.errors import UsageError
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.kafka.registry import Registry, connect
from streamproc.operate.dead_letter import NO_LETTER
from streamproc.operate.dlq.back import Back, read_back
from streamproc.operate.dlq.choice import Choice
from streamproc.operate.dlq.letter import Letter, read_letter
from streamproc.operate.foreign import Foreign
from streamproc.operate.originals import Originals
from streamproc.operate.place import Place
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import Settings


class Letters:
    """The dead letters of one input topic, up to what is there when they are asked for. Used by one thread."""

    def __init__(self, settings: Settings, log: Log, registry: Registry) -> None:
        self._topics = settings.topics
        self.log = log
        self.foreign = Foreign()
        """What no worker of ours wrote, as far as was read."""
        self._back: Back | None = None
        self._originals = Originals(registry, settings.topics.recordings, time.monotonic)

    def stretches(self, since_ms: int) -> Mapping[TopicPartition, range]:
        """From the first letter at or after a moment (ms since the epoch) to the end of now, per partition."""
        kept = self.log.bounds(self.log.partitions(self._topics.dead_letters))
        starts = self.log.at(kept, since_ms) if since_ms else {}
        return {p: range(max(starts.get(p, 0), stretch.start), stretch.stop) for p, stretch in kept.items()}

    def read(self, stretches: Mapping[TopicPartition, range]) -> Iterator[list[Letter]]:
        """Letters as they arrive, those of one partition in order. Records that are none are left out.

        Which were put back is known as of the first call.
        """
        if self._back is None:
            self._back = read_back(self.log, self._topics, self.foreign)
        for some in self.log.read(stretches, whole):
            yield [letter for record in some if (letter := self._letter(record, self._back)) is not None]

    def _letter(self, record: Record, back: Back) -> Letter | None:
        letter = read_letter(record, self._originals, back.when(record.source, record.offset))
        if letter is None:
            self.foreign.note(record, NO_LETTER)
        return letter

    def chosen(self, choice: Choice) -> Iterator[Letter]:
        """The letters that are meant."""
        for some in self.read(self.stretches(choice.since_ms)):
            yield from (letter for letter in some if choice.takes(letter))

    def one(self, place: Place) -> Letter:
        """The letter at a place, or the last one that began there. Raises UsageError when there is none."""
        if place.partition.topic == self._topics.dead_letters:
            kept = self.stretches(0).get(place.partition, range(0))
            stretch = range(place.offset, place.offset + 1) if place.offset in kept else range(0)
            found = [letter for some in self.read({place.partition: stretch}) for letter in some]
        else:
            found = list(self.chosen(Choice(origin=place)))
        if not found:
            raise UsageError(
                f"no dead letter stands at {place} or began there, as far as {self._topics.dead_letters} is kept: "
                f"`streamproc why {place}` tells what became of that record"
            )
        return found[-1]


@contextmanager
def open_letters(settings: Settings) -> Iterator[Letters]:
    """Read dead letters. Raises UsageError, DependencyDownError."""
    with connect(settings.registry) as registry, closing(Log(settings, settings.kafka.group)) as log:
        yield Letters(settings, log, registry)
