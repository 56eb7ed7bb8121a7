"""One partition's rows, folded into buckets: repeats change nothing, late rows correct, time closes.

The state of a bucket that is kept depends on which rows were read, not on their order, nor on how often:
a result counts once in a bucket, a recording's first and last segment are a least and a greatest, and sums are whole.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from streamproc.analytics.observation import Key, Mark, Observation, Step
from streamproc.analytics.tally import Tally
from streamproc.analytics.windows import Calendar


@dataclass(slots=True)
class Course:
    """How a recording goes: its first and its last segment so far."""

    first: Mark
    last: Mark

    @property
    def reach(self) -> int:
        """What is seen of it, in ms."""
        return self.last.start_ms - self.first.start_ms

    @property
    def change(self) -> int:
        """By how much it ends more negative than it begins."""
        return self.last.negativity - self.first.negativity


@dataclass(slots=True)
class Bucket:
    """What is kept of a stretch of time."""

    seen: dict[str, tuple[Key, ...]] = field(default_factory=dict)
    """The keys of each result that counts."""
    courses: dict[str, Course] = field(default_factory=dict)
    tallies: dict[Key, Tally] = field(default_factory=dict)


class Fold:
    """The state of one partition of the results, and of the same one of the segments."""

    def __init__(self, calendar: Calendar, ahead_ms: int) -> None:
        self._calendar = calendar
        self._ahead_ms = ahead_ms
        self._buckets: dict[int, Bucket] = {}
        self._dirty: set[tuple[Key, int]] = set()
        self._closed: set[tuple[Key, int]] = set()
        self.watermark = 0
        """How far event time has come: the latest begin of a recording, in ms since the epoch."""
        self.left_out: Counter[str] = Counter()
        """Rows that did not count, by why; a row that is read again is counted again."""

    def result(self, seen: Observation) -> bool:
        """Take a result; whether its bucket needs it."""
        if seen.recorded_at > seen.produced_at + self._ahead_ms:
            self.left_out["ahead"] += 1
            return False
        self._advance(min(seen.recorded_at, seen.produced_at))
        start = self._calendar.bucket(seen.recorded_at)
        if not self.kept(start):
            self.left_out["late"] += 1
            return False
        bucket = self._buckets.setdefault(start, Bucket())
        if seen.result_id in bucket.seen:
            self.left_out["repeated"] += 1
            return False
        bucket.seen[seen.result_id] = seen.keys
        tally = Tally(results=1)
        if seen.label is not None:
            tally.labels[seen.label] = 1
            tally.confidence = seen.confidence
        if (course := bucket.courses.get(seen.result_id)) is not None:
            tally.add(_of(course))
        self._count(start, seen.keys, tally)
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
        bucket = self._buckets.setdefault(start, Bucket())
        course = bucket.courses.get(result_id)
        if course is None:
            bucket.courses[result_id] = Course(step.mark, step.mark)
            return True
        first, last = min(course.first, step.mark), max(course.last, step.mark)
        if (first, last) == (course.first, course.last):
            return True
        before = _of(course)
        course.first, course.last = first, last
        if (keys := bucket.seen.get(result_id)) is not None:
            after = _of(course)
            gain = Tally(
                changed=after.changed - before.changed,
                change=after.change - before.change,
                reach=after.reach - before.reach,
            )
            self._count(start, keys, gain)
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
        self._closed.clear()
        self._dirty.clear()
        return gone + there

    def tell_all(self) -> None:
        """Take everything for changed."""
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


def _of(course: Course) -> Tally:
    """What a course adds to the tallies of its result."""
    if course.first.place == course.last.place:
        return Tally()
    return Tally(changed=1, change=course.change, reach=course.reach)
