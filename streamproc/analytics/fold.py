"""One partition's rows, folded into buckets: repeats change nothing, late rows correct, time closes.

The state of a bucket that is kept depends on which rows were read, not on their order, nor on how often:
a result counts once in a bucket, a recording's first and last segment are a least and a greatest, and sums are whole.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from streamproc.analytics.observation import OTHER, Key, Mark, Observation, Step
from streamproc.analytics.tally import Tally
from streamproc.analytics.windows import Calendar


@dataclass(slots=True)
class Course:
    """How one channel of a recording goes: its first and its last segment so far."""

    channel: int
    first: Mark
    last: Mark
    moves: int = 0
    """How often one of the two was replaced."""

    def take(self, mark: Mark) -> None:
        """Take a segment."""
        first, last = min(self.first, mark), max(self.last, mark)
        if (first, last) != (self.first, self.last):
            self.first, self.last = first, last
            self.moves += 1

    def tally(self) -> Tally:
        """What it adds to the tallies of its result."""
        if self.first.place == self.last.place:
            return Tally()
        return Tally(changed=1, change=self.last.negativity - self.first.negativity, moves=self.moves)


@dataclass(slots=True)
class Recording:
    """What is kept of a recording: the keys of its result, once that was seen, and how its channels go."""

    keys: tuple[Key, ...] | None = None
    courses: tuple[Course, ...] = ()


@dataclass(slots=True)
class Bucket:
    """What is kept of a stretch of time."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    """By the ids of their results."""
    tallies: dict[Key, Tally] = field(default_factory=dict)
    _keys: dict[tuple[Key, ...], tuple[Key, ...]] = field(default_factory=dict)
    _values: Counter[str] = field(default_factory=Counter)
    """How many are kept apart of each attribute."""

    def recording(self, result_id: str) -> Recording:
        """What is kept of one."""
        found = self.recordings.get(result_id)
        if found is None:
            found = self.recordings[result_id] = Recording()
        return found

    def keys(self, wanted: tuple[Key, ...], most: int) -> tuple[Key, ...]:
        """The keys to count under: of an attribute's values the first ``most``, and one for the rest.

        Depends on the order of results, which is that of their offsets for every reader. Equal ones are one object.
        """
        for key in wanted:
            if key not in self.tallies and key[1] != OTHER and self._values[key[0]] < most:
                self._values[key[0]] += 1
                self.tallies[key] = Tally()
        found = tuple(key if key in self.tallies else (key[0], OTHER) for key in wanted)
        return self._keys.setdefault(found, found)


class Fold:
    """The state of one partition of the results, and of the same one of the segments."""

    def __init__(self, calendar: Calendar, ahead_ms: int, most_values: int) -> None:
        self._calendar = calendar
        self._ahead_ms = ahead_ms
        self._most_values = most_values
        self._buckets: dict[int, Bucket] = {}
        self._dirty: set[tuple[Key, int]] = set()
        self._closed: set[tuple[Key, int]] = set()
        self._gone: set[tuple[Key, int]] = set()
        """What was told to be kept no more the last time: nobody else remembers it, should that not arrive."""
        self.watermark = 0
        """How far event time has come: the latest begin of a recording, in ms since the epoch."""
        self.left_out: Counter[str] = Counter()
        """Rows that did not count, by why; a row that is read again is counted again."""

    def result(self, seen: Observation) -> bool:
        """Take a result; whether its bucket needs it."""
        latest = min(seen.produced_at, seen.written_at) + self._ahead_ms
        if seen.recorded_at > latest or seen.produced_at > seen.written_at + self._ahead_ms:
            self.left_out["ahead"] += 1
            return False
        self._advance(min(seen.recorded_at, seen.produced_at))
        start = self._calendar.bucket(seen.recorded_at)
        if not self.kept(start):
            self.left_out["late"] += 1
            return False
        bucket = self._buckets.setdefault(start, Bucket())
        recording = bucket.recording(seen.result_id)
        if recording.keys is not None:
            self.left_out["repeated"] += 1
            return False
        recording.keys = bucket.keys(seen.keys, self._most_values)
        tally = Tally(results=1)
        if seen.label is not None:
            tally.labels[seen.label] = 1
            tally.confidence = seen.confidence
        for course in recording.courses:
            tally.add(course.tally())
        self._count(start, recording.keys, tally)
        return True

    def segment(self, step: Step) -> bool:
        """Take a segment, before or after its result; whether its bucket may need it."""
        result_id, recorded_at = step.result_id, step.recorded_at
        if recorded_at > step.produced_at + self._ahead_ms:
            self.left_out["ahead"] += 1
            return False
        start = self._calendar.bucket(recorded_at)
        if not self.kept(start):
            self.left_out["late"] += 1
            return False
        recording = self._buckets.setdefault(start, Bucket()).recording(result_id)
        course = next((course for course in recording.courses if course.channel == step.channel), None)
        if course is None:
            recording.courses += (Course(step.channel, step.mark, step.mark),)
            return True
        before = course.tally()
        course.take(step.mark)
        after = course.tally()
        if recording.keys is not None and after != before:
            gain = Tally(
                changed=after.changed - before.changed,
                change=after.change - before.change,
                moves=after.moves - before.moves,
            )
            self._count(start, recording.keys, gain)
        return True

    def tallies(self) -> Iterator[tuple[Key, int, Tally]]:
        """All that is kept: key, begin of the bucket, tally."""
        for start, bucket in self._buckets.items():
            for key, tally in bucket.tallies.items():
                yield key, start, tally

    def changes(self) -> list[tuple[Key, int, Tally | None]]:
        """What changed since this was asked last; None for what is not kept any more."""
        gone: list[tuple[Key, int, Tally | None]] = [(key, start, None) for key, start in self._closed]
        there = [(key, start, self._buckets[start].tallies[key].copy()) for key, start in self._dirty]
        self._gone, self._closed = self._closed, set()
        self._dirty.clear()
        return gone + there

    def tell_all(self) -> None:
        """Take everything for changed, with what was told last to be kept no more."""
        self._closed |= self._gone
        self._dirty.update((key, start) for key, start, _ in self.tallies())

    def _count(self, start: int, keys: tuple[Key, ...], gain: Tally) -> None:
        tallies = self._buckets[start].tallies
        for key in keys:
            tallies.setdefault(key, Tally()).add(gain)
            self._dirty.add((key, start))

    def kept(self, start: int) -> bool:
        """Whether a bucket is still needed."""
        return self._calendar.kept_until(start) > self.watermark

    def _advance(self, at_ms: int) -> None:
        """Let time pass, and let go of what nobody needs any more."""
        if self._calendar.bucket(at_ms) > self._calendar.bucket(self.watermark):
            self.watermark = at_ms
            for start in [start for start in self._buckets if not self.kept(start)]:
                keys = {(key, start) for key in self._buckets.pop(start).tallies}
                self._dirty -= keys
                self._closed |= keys
        self.watermark = max(self.watermark, at_ms)
