"""Putting dead letters back: originals and what was noted of them in one transaction, so that each goes back once."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from streamproc.kafka.sink import TransactionalSink
from streamproc.operate.dlq.batch import Batch
from streamproc.operate.dlq.choice import Choice
from streamproc.operate.dlq.kept import check_kept
from streamproc.operate.dlq.letter import Letter
from streamproc.operate.dlq.letters import Letters, open_letters
from streamproc.operate.dlq.original import LeftError, OriginalRecords
from streamproc.operate.dlq.writing import Pace, Writing
from streamproc.operate.place import Place
from streamproc.records.record import OutputRecord, TopicPartition
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock

MOST_NAMED = 1_000
"""Letters that are named one by one, of those that went back and of those that are left; the rest is counted."""

Tell = Callable[[str, str, int, int], None]
"""What is done, a word on it, how much of it, of how much."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be put back, of the letters of a choice. ``limit``: what was put back so often before stays."""

    choice: Choice = field(default_factory=Choice)
    most: int | None = None
    rate: float | None = None
    """Records a second."""
    limit: int = 3
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """One letter that went back."""

    letter: Place
    origin: Place
    to: str
    """The partition of the input that it goes to; the topic alone when its key decides."""
    key: str | None
    reason: str


@dataclass(slots=True)
class Replayed:
    """What a replay did; with ``dry_run`` what it would have done."""

    put: Counter[str] = field(default_factory=Counter)
    """By reason."""
    named: list[Named] = field(default_factory=list)
    """The first of them."""
    done_before: int = 0
    over_limit: int = 0
    left: list[tuple[Place, str]] = field(default_factory=list)
    """The first that cannot be put back, and why. They are looked at again by the next replay."""
    left_count: int = 0
    stopped_at_most: bool = False
    interrupted: bool = False
    """By Ctrl-C."""
    undecided: bool = False
    """Whether a transaction of another replay is open: what that puts back is not known."""
    in_doubt: int = 0
    """How many were being committed when that came: all of these are put back, or none."""


def replay(
    settings: Settings,
    order: Order,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Replayed:
    """Put letters back that are there now; what comes of them meanwhile is for the next replay.

    What was committed is kept whatever ends this, and the same order again goes on behind it; Ctrl-C ends it with what
    was done so far. Raises DependencyDownError, FatalError, UsageError, UndecidedError.
    """
    store = S3Store(settings.storage, 1, SystemClock())
    with open_letters(settings, certain=not order.dry_run) as letters, closing(store):
        topics = settings.topics
        partitions = len(letters.log.partitions(topics.recordings))
        originals = OriginalRecords(topics.recordings, partitions, settings.storage.bucket, store)
        pace = Pace(order.rate, clock, sleep)
        if order.dry_run:
            return Replay(letters, originals, order, tell, pace).run()
        # One id for all who put these letters back, whatever their prefix: of two the later fences the other.
        with closing(TransactionalSink(settings, topics.replays)) as sink:
            # First: this ends a replay that still runs or was killed, and only then it is certain what went back.
            sink.open()
            check_kept(settings)
            writing = Writing(sink, letters, topics.replays, pace, SystemClock().wall_ms)
            return Replay(letters, originals, order, tell, pace, writing).run()


class Replay:
    """One way through the letters. Without ``writing`` nothing is written."""

    def __init__(
        self,
        letters: Letters,
        originals: OriginalRecords,
        order: Order,
        tell: Tell,
        pace: Pace,
        writing: Writing | None = None,
    ) -> None:
        self._letters = letters
        self._originals = originals
        self._order = order
        self._tell = tell
        self._pace = pace
        self._writing = writing
        self._replayed = Replayed()
        self._batch = Batch()

    def run(self) -> Replayed:
        """Go through what is there now."""
        try:
            self._run()
        except KeyboardInterrupt:
            self._replayed.interrupted = True
        self._replayed.undecided = self._letters.undecided
        return self._replayed

    def _run(self) -> None:
        stretches = self._letters.stretches(self._order.choice.since_ms)
        most = sum(map(len, stretches.values()))
        looked = dict.fromkeys(stretches, 0)
        for some in self._letters.read(stretches, self._order.choice.since_ms):
            for letter in some:
                self._take(letter)
                place = letter.record.source
                looked[place] = letter.record.offset + 1 - stretches[place].start
                if len(self._batch.taken) >= self._pace.batch or self._full:
                    self._commit()
                if self._full:
                    self._replayed.stopped_at_most = True
                    return
            self._tell("replay", "looked at", sum(looked.values()), most)
        if self._batch.taken:
            self._commit()
        self._tell("replay", "looked at", most, most)

    @property
    def _full(self) -> bool:
        return self._order.most is not None and self._replayed.put.total() + len(self._batch.taken) >= self._order.most

    def _take(self, letter: Letter) -> None:
        """Add a letter's original to the batch, or let it stay where it is."""
        record = self._original(letter)
        if record is None:
            self._batch.leave(letter)
        else:
            self._batch.take(letter, record)

    def _original(self, letter: Letter) -> OutputRecord | None:
        """The record to put back for a letter; None when it stays."""
        if not self._order.choice.takes(letter):
            return None
        if letter.put_back_ms is not None:
            self._replayed.done_before += 1
            return None
        if letter.replays >= self._order.limit:
            self._replayed.over_limit += 1
            return None
        try:
            return self._originals.record(letter)
        except LeftError as error:
            self._replayed.left_count += 1
            if len(self._replayed.left) < MOST_NAMED:
                self._replayed.left.append((letter.place, str(error)))
            return None

    def _commit(self) -> None:
        if self._writing is not None:
            self._replayed.in_doubt = len(self._batch.taken)
            self._writing.commit(self._batch)
            self._replayed.in_doubt = 0
        for letter, record in self._batch.taken:
            self._replayed.put[letter.told.reason] += 1
            if len(self._replayed.named) < MOST_NAMED:
                self._replayed.named.append(_named(letter, record))
        self._batch = Batch()
        if self._writing is not None:
            self._pace.keep(self._replayed.put.total())


def _named(letter: Letter, record: OutputRecord) -> Named:
    told = letter.told
    origin = Place(TopicPartition(told.topic, told.partition), told.offset)
    to = record.topic if record.partition is None else f"{record.topic}/{record.partition}"
    return Named(letter.place, origin, to, told.key, told.reason)
