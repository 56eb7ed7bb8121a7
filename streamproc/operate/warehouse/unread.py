"""Whether a connector has anything to read where it stands, and since when that waits."""

from collections.abc import Collection, Mapping
from contextlib import closing

from streamproc.kafka.log import Log
from streamproc.kafka.messages import stamped
from streamproc.operate.place import Place
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings

_STEPS = (64, 4096)
"""So many offsets are looked at first. Marks of transactions and aborted records hide what is behind them, but seldom
so much; without a bound a partition of marks alone would have all of another one read."""


def unread(settings: Settings, places: Collection[Place]) -> Collection[Place]:
    """Those places at or behind which a committed record lies; the others are at the end of what there is to read.

    Marks of transactions are no records, so ends of partitions do not tell. Raises DependencyDownError, GoneError.
    """
    with closing(Log(settings, settings.kafka.group, glance=True)) as log:
        bounds = log.bounds(place.partition for place in places)
        found = first_records(
            log,
            {
                place.partition: range(max(place.offset, bounds[place.partition].start), bounds[place.partition].stop)
                for place in places
            },
        )
    return [place for place in places if place.partition in found]


def first_records(
    log: Log, stretches: Mapping[TopicPartition, range], but: Collection[Place] = ()
) -> Mapping[TopicPartition, tuple[int, int]]:
    """Offset and time (ms since the epoch) of the first committed record of each stretch that has one.

    Records at the places ``but`` count as none. Raises DependencyDownError, GoneError.
    """
    found: dict[TopicPartition, tuple[int, int]] = {}
    for most in (*_STEPS, None):
        left = {place: stretch[:most] for place, stretch in stretches.items() if stretch and place not in found}
        for some in log.read(left, stamped):
            for place, offset, at_ms in some:
                if Place(place, offset) not in but:
                    found.setdefault(place, (offset, at_ms))
            if found.keys() >= left.keys():
                break
    return found
