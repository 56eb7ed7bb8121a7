"""Whether a connector has anything to read where it stands."""

from collections.abc import Collection
from contextlib import closing

from streamproc.kafka.log import Log
from streamproc.kafka.messages import origin_of
from streamproc.operate.place import Place
from streamproc.settings import Settings


def unread(settings: Settings, places: Collection[Place]) -> Collection[Place]:
    """Those places at or behind which a committed record lies; the others are at the end of what there is to read.

    Marks of transactions are no records, so ends of partitions do not tell. Raises DependencyDownError, GoneError.
    """
    with closing(Log(settings, settings.kafka.group, glance=True)) as log:
        bounds = log.bounds(place.partition for place in places)
        stretches = {
            place.partition: range(max(place.offset, bounds[place.partition].start), bounds[place.partition].stop)
            for place in places
        }
        reached = {partition for partition, stretch in stretches.items() if stretch}
        found = set()
        for some in log.read(stretches, origin_of):
            found.update(some)
            if found == reached:
                break
    return [place for place in places if place.partition in found]
