"""How far a connector is behind its topic."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from streamproc.kafka.log import Log
from streamproc.operate.warehouse.origins import origins
from streamproc.operate.warehouse.unread import first_records
from streamproc.settings import Settings

GROUP = "connect-"
"""Before a connector's name: the group in which Connect keeps what its sink has done."""


@dataclass(frozen=True, slots=True)
class Lag:
    """What is committed on the topic and not yet done: told to the brokers as no row yet, nor as put aside.

    Connect tells them every ``offset.flush.interval.ms``, a minute by default.
    """

    records: int
    """Marks, and what was put aside, count between them; where nothing else is left it is 0."""
    seconds: float
    """Since the oldest of them was written, by the topic's timestamps; 0 where none waits."""
    behind: Mapping[str, int]
    """The records by partition, as in ``emotion.results/3``; those that have any."""


def lag(settings: Settings, name: str, topic: str, now_ms: int) -> Lag:
    """Of one connector by its name, on the topic that it reads, as of now, in ms since the epoch.

    Raises DependencyDownError; GoneError where retention takes records meanwhile; UsageError where there is no topic.
    """
    with closing(Log(settings, f"{GROUP}{name}", glance=True)) as log:
        partitions = log.partitions(topic)
        done, bounds = log.committed(partitions), log.bounds(partitions)
        left = {
            partition: range(max(done.get(partition, 0), bounds[partition].start), bounds[partition].stop)
            for partition in partitions
        }
        oldest = first_records(log, left)
        if oldest:
            # The sink's offsets stay in front of what was put aside behind a row, until the next row of that partition.
            since_ms = min(at_ms for _, at_ms in oldest.values())
            if done_with := origins(log, settings.topics.connect_dead_letters, name, since_ms):
                oldest = first_records(log, {partition: left[partition] for partition in oldest}, done_with)
    behind = {str(place): left[place].stop - offset for place, (offset, _) in sorted(oldest.items())}
    since_ms = min((at_ms for _, at_ms in oldest.values()), default=now_ms)
    return Lag(sum(behind.values()), max(0.0, (now_ms - since_ms) / 1000), behind)
