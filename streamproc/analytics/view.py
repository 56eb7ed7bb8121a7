"""All partitions together: partials in, windows out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from streamproc.analytics.observation import EVERYTHING, Key
from streamproc.analytics.overtaken import Overtaken
from streamproc.analytics.partial import Partial, Progress
from streamproc.analytics.tally import Tally, total
from streamproc.analytics.windows import Calendar, Kind, Windows

LEFT_OUT = ("late", "ahead", "repeated", "incomplete", "unreadable", "overtaken")
"""Why a row is in no window: everything that is ever said."""

Change = tuple[Key, int]
"""A key and the begin of a bucket."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one key, and what it comes to. Times in ms since the epoch."""

    kind: Kind
    key: Key
    start: int
    end: int
    tally: Tally


class View:
    """What the partitions say, and how far they are. Used under one lock, or by one thread."""

    def __init__(self, calendar: Calendar, terms: str) -> None:
        self.calendar = calendar
        self._terms = terms
        self._parts: dict[Key, dict[int, dict[int, Tally]]] = {}
        self._progress: dict[int, Progress] = {}
        self._changed: set[Change] = set()
        self.overtaken = Overtaken()
        self.watermark = 0
        """The furthest partition's: what is over for one is over for all, since that one does not keep it."""

    @property
    def progress(self) -> list[Progress]:
        """Of each partition, in order."""
        return [self._progress[partition] for partition in sorted(self._progress)]

    def left_out(self, told: Progress) -> dict[str, int]:
        """A partition's results that are in no window, by why."""
        overtaken = self.overtaken.count(told.partition)
        return {**told.left_out, **({"overtaken": overtaken} if overtaken else {})}

    def take(self, told: Partial | Progress) -> None:
        """Take what a partition says; of two partials the one that saw less is the older, whoever comes later.

        What was told on other terms, by an app with other settings, is none of ours.
        """
        if (told.terms if isinstance(told, Progress) else told.place.terms) != self._terms:
            return
        if isinstance(told, Progress):
            known = self._progress.get(told.partition)
            if known is None or known.watermark <= told.watermark:
                before, self.watermark = self.watermark, max(self.watermark, told.watermark)
                self._progress[told.partition] = told
                self._close(before)
                self.overtaken.reach(told.partition, self.calendar.kept_from(told.watermark))
            return
        place, tally = told.place, told.tally
        if tally is not None and self.calendar.kept_until(place.start) <= self.watermark:
            if place.key == EVERYTHING:
                self.overtaken.refuse(place.partition, place.start, tally.results)
            return
        parts = self._parts.setdefault(place.key, {}).setdefault(place.start, {})
        held = parts.get(place.partition)
        if tally is None:
            parts.pop(place.partition, None)
            self._clear(place.key, place.start)
        elif held is None or not tally.within(held):
            parts[place.partition] = tally
            self._changed.add((place.key, place.start))

    def changes(self) -> set[Change]:
        """What changed since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def everything(self) -> set[Change]:
        """All that is kept."""
        return {(key, start) for key, buckets in self._parts.items() for start in buckets}

    def windows_of(self, changes: Iterable[Change]) -> list[Window]:
        """Each live window that has to do with these, with what it comes to now."""
        places = {
            (windows, key, start)
            for key, bucket in changes
            for windows in self.calendar.windows
            for start in windows.over(bucket)
        }
        found = (self.window(*place) for place in sorted(places, key=lambda place: (place[0].kind, *place[1:])))
        return [window for window in found if window is not None]

    def window(self, windows: Windows, key: Key, start: int) -> Window | None:
        """One window of one key, when it is live and has any result."""
        if not self.calendar.live(windows, start, self.watermark):
            return None
        buckets = self._parts.get(key, {})
        tally = total(part for at in self.calendar.buckets(windows, start) for part in buckets.get(at, {}).values())
        return Window(windows.kind, key, start, start + windows.size_ms, tally) if tally.results else None

    def keys(self, attribute: str) -> Iterator[Key]:
        """The keys of an attribute, in order."""
        yield from sorted(key for key in self._parts if key[0] == attribute)

    def starts(self, windows: Windows, key: Key) -> list[int]:
        """The begins of the live windows of a key, in order."""
        starts = {start for bucket in self._parts.get(key, {}) for start in windows.over(bucket)}
        return sorted(start for start in starts if self.calendar.live(windows, start, self.watermark))

    def _close(self, before: int) -> None:
        """Let go of what time has passed, once a bucket."""
        if self.calendar.bucket(before) < self.calendar.bucket(self.watermark):
            over = [change for change in self.everything() if self.calendar.kept_until(change[1]) <= self.watermark]
            for key, start in over:
                if key == EVERYTHING:
                    for partition, tally in self._parts[key][start].items():
                        self.overtaken.close(partition, start, tally.results)
                self._parts[key][start].clear()
                self._clear(key, start)
            self._changed.difference_update(over)

    def _clear(self, key: Key, start: int) -> None:
        """Let go of what is empty."""
        if not self._parts[key][start]:
            del self._parts[key][start]
        if not self._parts[key]:
            del self._parts[key]
