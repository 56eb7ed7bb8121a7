"""Time sheets: what each thread of a worker does with its time. Whatever is read sums to the time since it began."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


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
