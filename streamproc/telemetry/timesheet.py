"""Time sheets: what each thread of a worker does with its time. Whatever is read sums to the time since it began."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol


class Hand(StrEnum):
    """Who has a time sheet: threads of the main process (``io`` are several), and the device process."""

    LOOP = "loop"
    POLL = "poll"
    COMMIT = "commit"
    IO = "io"
    TIER = "tier"
    CANARY = "canary"
    DEVICE = "device"


class Activity(StrEnum):
    """What it does just now."""

    IDLE = "idle"
    """Waits for work."""
    START = "start"
    """Before there can be work: the network is loaded, brokers are reached."""
    STEER = "steer"
    AGAIN = "again"
    ADMIT = "admit"
    RECALL = "recall"
    FETCH = "fetch"
    LOOKUP = "lookup"
    PREPARE = "prepare"
    INFER = "infer"
    ASSEMBLE = "assemble"
    COMMIT = "commit"
    PROBE = "probe"
    CLIENT = "client"
    """In the Kafka client, which waits for records."""
    BLOCKED = "blocked"
    """There is no room for more records."""
    REVOKE = "revoke"
    """A revoke waits for what is in flight."""
    OPEN = "open"
    RESOLVE = "resolve"
    HEAD = "head"
    PUT = "put"
    READ = "read"
    WRITE = "write"
    NEWEST = "newest"
    ENDS = "ends"
    """How far the topics go is asked."""
    COMPUTE = "compute"


STAGES = (
    Activity.AGAIN,
    Activity.ADMIT,
    Activity.RECALL,
    Activity.FETCH,
    Activity.LOOKUP,
    Activity.PREPARE,
    Activity.INFER,
    Activity.ASSEMBLE,
    Activity.COMMIT,
    Activity.PROBE,
)
"""Of the loop, in the order in which it steps them."""

ACTIVITIES: Mapping[Hand, tuple[Activity, ...]] = MappingProxyType(
    {
        Hand.LOOP: (Activity.IDLE, Activity.START, Activity.STEER, *STAGES),
        Hand.POLL: (Activity.START, Activity.STEER, Activity.CLIENT, Activity.BLOCKED, Activity.REVOKE),
        Hand.COMMIT: (Activity.IDLE, Activity.OPEN, Activity.COMMIT),
        Hand.IO: (
            Activity.IDLE,
            Activity.RESOLVE,
            Activity.FETCH,
            Activity.HEAD,
            Activity.PUT,
            Activity.READ,
            Activity.WRITE,
            Activity.NEWEST,
        ),
        Hand.TIER: (Activity.IDLE, Activity.READ, Activity.WRITE),
        Hand.CANARY: (Activity.IDLE, Activity.PROBE, Activity.ENDS),
        Hand.DEVICE: (Activity.START, Activity.IDLE, Activity.COMPUTE),
    }
)
"""Everything that each of them can be seen at."""
PAIRS = tuple((hand, activity) for hand, activities in ACTIVITIES.items() for activity in activities)


class Sheet(Protocol):
    """Where one thread notes what it does."""

    def enter(self, activity: Activity) -> Activity:
        """Begin an activity, which ends the one before; that one."""
        ...


@contextmanager
def at(sheet: Sheet, activity: Activity) -> Iterator[None]:
    """Do something else for a while, and go back."""
    before = sheet.enter(activity)
    try:
        yield
    finally:
        sheet.enter(before)


class NoSheet:
    """A sheet for whoever is not timed."""

    def enter(self, activity: Activity) -> Activity:
        """Note nothing."""
        return activity


NO_SHEET = NoSheet()


@dataclass(frozen=True, slots=True)
class Moment:
    """What a thread is at, since when (s), and how often it began anything: two moments with one count are one."""

    hand: Hand
    name: str
    """Of the thread."""
    activity: Activity
    since: float
    count: int


class Timesheet:
    """The time of one thread, which alone writes; anybody reads."""

    def __init__(self, hand: Hand, name: str, first: Activity, clock: Callable[[], float]) -> None:
        self._hand = hand
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._spent = dict.fromkeys(ACTIVITIES[hand], 0.0)
        self._activity = first
        self._since = clock()
        self._count = 0

    def enter(self, activity: Activity) -> Activity:
        """Begin an activity, which ends the one before; that one. Raises KeyError for one that is not this hand's."""
        now = self._clock()
        with self._lock:
            before = self._activity
            self._spent[before] += now - self._since
            self._activity, self._since = activity, now
            self._count += 1
        return before

    def spent(self) -> Mapping[Activity, float]:
        """Seconds by activity, up to now."""
        with self._lock:
            spent = dict(self._spent)
            spent[self._activity] += self._clock() - self._since
        return spent

    def moment(self) -> Moment:
        """What it is at."""
        with self._lock:
            return Moment(self._hand, self._name, self._activity, self._since, self._count)


class Timesheets:
    """The sheets of all threads of a worker."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sheets: list[tuple[Hand, Timesheet]] = []

    def open(self, hand: Hand, name: str, first: Activity) -> Timesheet:
        """A sheet for a thread that begins now."""
        sheet = Timesheet(hand, name, first, self._clock)
        with self._lock:
            self._sheets.append((hand, sheet))
        return sheet

    def spent(self) -> Mapping[tuple[Hand, Activity], float]:
        """Seconds by hand and activity, over all its threads."""
        total = dict.fromkeys(PAIRS, 0.0)
        for hand, sheet in self._all():
            for activity, seconds in sheet.spent().items():
                total[hand, activity] += seconds
        return total

    def count(self) -> Mapping[Hand, int]:
        """How many sheets each hand has."""
        return Counter(hand for hand, _ in self._all())

    def moments(self) -> tuple[Moment, ...]:
        """What each thread is at."""
        return tuple(sheet.moment() for _, sheet in self._all())

    def _all(self) -> tuple[tuple[Hand, Timesheet], ...]:
        with self._lock:
            return tuple(self._sheets)
