"""Following one record through the topics, from where it was announced to its end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from streamproc.errors import PoisonError, UsageError
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.kafka.registry import Registry, connect
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.dlq.letter import replay_of, replays_of
from streamproc.operate.lines import moment
from streamproc.operate.originals import Originals
from streamproc.operate.place import Place
from streamproc.operate.why.again import AgainSearch
from streamproc.operate.why.ledger import LedgerSearch
from streamproc.operate.why.life import Announced, Life, PutBack, Retry, Try
from streamproc.operate.why.outputs import OutputSearch
from streamproc.records.record import Record
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings


@dataclass(frozen=True, slots=True)
class Absent:
    """Why no record stands at a place."""

    why: str
    was_there: bool = False
    """Whether something may still tell of it."""


class Tracer:
    """Used by one thread. Every method raises DependencyDownError; UsageError for a topic that is not there."""

    def __init__(self, settings: Settings, log: Log, registry: Registry, clock: Callable[[], float]) -> None:
        self._topics = settings.topics
        self._delays_s = dict(zip(settings.topics.lanes, settings.retry.delays_s, strict=True))
        self._strict = settings.retry.order == "strict"
        self._log = log
        self._originals = Originals(registry, settings.topics.recordings, clock)
        self._ledger = LedgerSearch(log, registry, settings.topics.ledger)
        self._outputs = OutputSearch(settings, log, registry)
        self._again = AgainSearch(settings.topics, log)

    def trace(self, place: Place) -> Life:
        """The life of the record at a place of the input, or of the one that a lane, dead letter or result tells of."""
        topics, known = self._topics, self._topics.of_records
        if place.partition.topic not in known:
            raise UsageError(f"{place} is of no record's life: name a place of {', '.join(known[:-1])} or {known[-1]}")
        found = self._look(place)
        if isinstance(found, Record) and place.partition.topic != topics.recordings:
            try:
                place = self._outputs.origin(found)
            except PoisonError as error:
                return Life(place, None, (), (), None, (f"what stands there is not ours: {error.message}",))
            found = self._look(place)
        elif isinstance(found, Absent) and place.partition.topic != topics.recordings:
            return Life(place, None, (), (), None, (found.why,))
        if isinstance(found, Absent) and not found.was_there:
            return Life(place, None, (), (), None, (found.why,))
        record = found if isinstance(found, Record) else None
        remarks = [found.why] if isinstance(found, Absent) else []
        tries = list(self._tries(place, record, remarks))
        announced = None if record is None else self._announced(record)
        segments = self._segments(announced, record, tries, remarks)
        return Life(place, announced, tuple(tries), segments, self._put_back(place, tries), tuple(remarks))

    def _tries(self, origin: Place, record: Record | None, remarks: list[str]) -> Iterator[Try]:
        taken_from, attempts = origin, 0
        key, at_ms = (record.key, record.timestamp_ms) if record else (None, None)
        while True:
            committed = self._ledger.find(taken_from, at_ms)
            if committed is None:
                remarks.append(self._uncommitted(taken_from, at_ms))
                yield Try(taken_from, None, None)
                return
            outcome = self._outputs.find(origin, attempts, committed.row.committed_at, key)
            yield Try(taken_from, committed, outcome)
            if outcome is None:
                remarks.append(
                    f"{committed.row_at} says that {taken_from} is done, and no output of it was found from then on: "
                    "retention has passed it, or it was lost; `streamproc audit` tells"
                )
                return
            if not isinstance(outcome.what, Retry):
                return
            taken_from, attempts, at_ms = outcome.at, outcome.what.attempts, outcome.at_ms

    def _put_back(self, origin: Place, tries: Sequence[Try]) -> PutBack | None:
        outcome = tries[-1].outcome
        if outcome is None or not isinstance(outcome.what, DeadLetter):
            return None
        return self._again.find(outcome.at, outcome.at_ms, origin.partition.partition)

    def _look(self, place: Place) -> "Record | Absent":
        """The record at a place, or why there is none."""
        if place.partition not in self._log.partitions(place.partition.topic):
            return Absent(f"{place.partition.topic} has no partition {place.partition.partition}")
        kept = self._log.bounds([place.partition])[place.partition]
        if place.offset >= kept.stop:
            return self._beyond(place)
        if place.offset < kept.start:
            why = f"retention has passed {place}: {place.partition} is kept from {kept.start} on"
            return Absent(why, was_there=True)
        for some in self._log.read({place.partition: range(place.offset, place.offset + 1)}, whole):
            if some:
                return some[0]
        return Absent(f"{place} has no record: it marks the end of a transaction, or what stood there was aborted")

    def _beyond(self, place: Place) -> "Record | Absent":
        """What there is to say of an offset behind the end of its partition."""
        done = self._done(place)
        end = self._log.bounds([place.partition])[place.partition].stop
        if place.offset < end:  # it has come meanwhile, and its end perhaps as well
            return self._look(place)
        if done is not None:
            why = f"{place.partition} ends at {end}, and {done}: what stood there is gone, or was never there"
            return Absent(f"{why}; `streamproc audit` names it", was_there=True)
        what = "announced" if place.partition.topic == self._topics.recordings else "written"
        return Absent(f"{place.partition} ends at {end}: nothing was {what} there, or not committed yet")

    def _done(self, place: Place) -> str | None:
        """Who says that an offset of the input or a lane is done; None where nobody does."""
        if place.partition.topic not in (self._topics.recordings, *self._topics.lanes):
            return None
        if (taken := self._log.committed([place.partition]).get(place.partition, 0)) > place.offset:
            return f"the group has come to {taken}"
        covered = self._ledger.find(place, None)
        return None if covered is None else f"{covered.row_at} of the ledger covers {place.offset}"

    def _announced(self, record: Record) -> Announced:
        return Announced(
            at_ms=record.timestamp_ms,
            key=None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
            size=None if record.value is None else len(record.value),
            replays=replays_of(record.headers),
            replay_of=replay_of(record.headers),
            event=self._originals.read(record.value),
        )

    def _uncommitted(self, place: Place, at_ms: int | None) -> str:
        """Why the ledger has no row of an offset, whose record is of that time (ms since the epoch) if it is known."""
        done = self._log.committed([place.partition]).get(place.partition)
        if done is None or done <= place.offset:
            at = "nothing" if done is None else f"offset {done}"
            waits = ", and with retry.order = strict one may wait in place, which its worker's log tells"
            told = f"{place} is not committed yet: the group has come to {at} of {place.partition}"
            if (delay_s := self._delays_s.get(place.partition.topic)) is not None and at_ms is not None:
                told += f"; its lane lets it go at {moment(at_ms + round(1000 * delay_s))} UTC"
            return told + (waits if self._strict else "")
        cut = [f"{partition} from {kept.start}" for partition, kept in self._ledger.kept().items() if kept.start]
        if cut:
            return f"no ledger row covers {place}, though it is committed: the ledger is kept only {', '.join(cut)} on"
        return f"no ledger row covers {place}, though it is committed: that is a fault, `streamproc audit` names it"

    def _segments(
        self, announced: Announced | None, record: Record | None, tries: Sequence[Try], remarks: list[str]
    ) -> tuple[Place, ...]:
        last = tries[-1]
        if announced is None or announced.event is None or "segments" not in announced.event.outputs:
            return ()
        if last.outcome is None or last.committed is None or not isinstance(last.outcome.what, EmotionResult):
            return ()
        result, key = last.outcome.what, record.key if record else None
        found = tuple(self._outputs.segments(result, last.committed.row.committed_at, key))
        if len(found) != result.segment_count:
            remarks.append(f"{len(found)} of its {result.segment_count} segments were found")
        return found


@contextmanager
def open_tracer(settings: Settings) -> Iterator[Tracer]:
    """Look into the topics that the settings name. Raises UsageError, DependencyDownError."""
    with connect(settings.registry) as registry, closing(Log(settings, settings.kafka.group, glance=True)) as log:
        yield Tracer(settings, log, registry, time.monotonic)
