"""Putting dead letters back: originals and progress in one transaction, so that each goes back exactly once."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from streamproc.errors import AbortedError, Fatal, FatalError
from streamproc.kafka.sink import TransactionalSink
from streamproc.operate.dlq.choice import Choice
from streamproc.operate.dlq.done import ANY, Done, parse
from streamproc.operate.dlq.letter import Letter
from streamproc.operate.dlq.letters import Letters, open_letters
from streamproc.operate.dlq.original import LeftError, OriginalRecords
from streamproc.operate.place import Place
from streamproc.records.record import CommitOffset, OutputRecord, TopicPartition
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock

WRITER = "replay"
"""In the place of a slot: one replay at a time; the next takes the place of one that still runs."""
BATCH = 256
"""Letters of one transaction at most."""
MOST_ABORTS = 10
ABORT_WAIT_S = 0.5
MOST_LEFT = 1_000
"""Letters that are told one by one; the rest is counted."""

Tell = Callable[[str, str, int, int], None]
"""What is done, a word on it, how much of it, of how much."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be put back. ``limit``: letters that were put back so often before stay where they are."""

    since_ms: int = 0
    reason: str | None = None
    most: int | None = None
    rate: float | None = None
    """Records a second."""
    limit: int = 3
    dry_run: bool = False


@dataclass(slots=True)
class Replayed:
    """What a replay did; with ``dry_run`` what it would have done."""

    put: Counter[str] = field(default_factory=Counter)
    """By reason."""
    done_before: int = 0
    over_limit: int = 0
    left: list[tuple[Place, str]] = field(default_factory=list)
    """The first that cannot be put back, and why. They are looked at again by the next replay."""
    left_count: int = 0
    stopped_at_most: bool = False


def replay(
    settings: Settings,
    order: Order,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Replayed:
    """Put letters back that are there now; what comes of them meanwhile is for the next replay.

    What was committed is kept whatever ends this, and the same order again goes on behind it. Raises
    DependencyDownError, FatalError, UsageError.
    """
    store = S3Store(settings.storage, 1, SystemClock())
    with open_letters(settings) as letters, closing(store):
        partitions = len(letters.log.partitions(settings.topics.recordings))
        originals = OriginalRecords(settings.topics.recordings, partitions, settings.storage.bucket, store)
        if order.dry_run:
            return Replay(letters, originals, order, tell, Pace(order.rate, clock, sleep)).run()
        with closing(TransactionalSink(settings, WRITER)) as sink:
            # First: this ends a replay that still runs or was killed, and only then its progress is certain.
            sink.open()
            return Replay(letters, originals, order, tell, Pace(order.rate, clock, sleep), sink).run()


class Pace:
    """So many records a second, from the first one on; any number without a rate."""

    def __init__(self, rate: float | None, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._clock = clock
        self._began = clock()
        self.sleep = sleep

    @property
    def batch(self) -> int:
        """Records that may go out at once: a second's worth."""
        return BATCH if self._rate is None else min(BATCH, max(1, int(self._rate)))

    def keep(self, records: int) -> None:
        """Wait until so many may be out."""
        if self._rate is not None:
            self.sleep(max(0.0, self._began + records / self._rate - self._clock()))


class Replay:
    """One way through the letters. Without a sink nothing is written."""

    def __init__(
        self,
        letters: Letters,
        originals: OriginalRecords,
        order: Order,
        tell: Tell,
        pace: Pace,
        sink: TransactionalSink | None = None,
    ) -> None:
        self._letters = letters
        self._originals = originals
        self._order = order
        self._choice = Choice(reason=order.reason)
        self._tell = tell
        self._pace = pace
        self._sink = sink
        self._replayed = Replayed()
        self._done: dict[TopicPartition, Done] = {}
        self._ways: dict[TopicPartition, range] = {}
        """Per partition, what this replay went through since the last letter that it left."""

    def run(self) -> Replayed:
        """Go through what is there now."""
        stretches = self._stretches()
        most = sum(map(len, stretches.values()))
        batch: list[OutputRecord] = []
        for some in self._letters.read(stretches):
            for letter in some:
                if (record := self._take(letter)) is not None:
                    batch.append(record)
                if len(batch) >= self._pace.batch or self._full:
                    self._commit(batch)
                    batch = []
                if self._full:
                    self._replayed.stopped_at_most = True
                    return self._replayed
            self._tell("replay", "looked at", sum(map(len, self._ways.values())), most)
        for partition, stretch in stretches.items():
            self._ways[partition] = range(self._ways[partition].start, stretch.stop)
        self._commit(batch)
        self._tell("replay", "looked at", most, most)
        return self._replayed

    @property
    def _full(self) -> bool:
        return self._order.most is not None and self._replayed.put.total() >= self._order.most

    def _stretches(self) -> Mapping[TopicPartition, range]:
        """Where there may be something to do, by what earlier replays did."""
        found = self._letters.stretches(self._order.since_ms)
        kept = self._letters.log.bounds(found)
        notes = {TopicPartition(o.topic, o.partition): o.metadata for o in self._letters.log.progress(found)}
        stretches = {}
        for partition, stretch in found.items():
            done = self._done[partition] = parse(notes.get(partition, "")).kept(kept[partition].start)
            start = done.skips_to(stretch.start, self._order.reason or ANY, self._order.limit)
            stretches[partition] = range(min(start, stretch.stop), stretch.stop)
            self._ways[partition] = range(stretches[partition].start, stretches[partition].start)
        return stretches

    def _take(self, letter: Letter) -> OutputRecord | None:
        """The record to put back for a letter; None when it stays where it is."""
        partition, offset, told = letter.record.source, letter.record.offset, letter.told
        way = self._ways[partition]
        self._ways[partition] = range(way.start, offset + 1)
        if not self._choice.takes(letter):
            return None
        if self._done[partition].covers(offset, told.reason, letter.replays):
            self._replayed.done_before += 1
            return None
        if letter.replays >= self._order.limit:
            self._replayed.over_limit += 1
            return None
        try:
            record = self._originals.record(letter)
        except LeftError as error:
            self._leave(letter, str(error), way)
            return None
        self._replayed.put[told.reason] += 1
        return record

    def _leave(self, letter: Letter, why: str, way: range) -> None:
        """Note what cannot be put back, so that a later replay looks at it again."""
        partition, offset = letter.record.source, letter.record.offset
        self._done[partition] = self._add(partition, range(way.start, offset))
        self._ways[partition] = range(offset + 1, offset + 1)
        self._replayed.left_count += 1
        if len(self._replayed.left) < MOST_LEFT:
            self._replayed.left.append((letter.place, why))

    def _add(self, partition: TopicPartition, stretch: range) -> Done:
        return self._done[partition].add(self._order.reason or ANY, self._order.limit, stretch)

    def _commit(self, batch: Sequence[OutputRecord]) -> None:
        """Make originals and progress visible together."""
        if self._sink is None:
            return
        offsets = [
            CommitOffset(p.topic, p.partition, way.stop, self._add(p, way).text()) for p, way in self._ways.items()
        ]
        for attempt in range(1, MOST_ABORTS + 1):
            try:
                self._sink.commit(batch, offsets, self._letters.log.membership())
            except AbortedError as error:
                if attempt == MOST_ABORTS:
                    message = f"a transaction was aborted {attempt} times, last: {error}"
                    raise FatalError(message, Fatal.ABORTED_AGAIN) from error
                self._pace.sleep(ABORT_WAIT_S)
            else:
                break
        self._pace.keep(self._replayed.put.total())
