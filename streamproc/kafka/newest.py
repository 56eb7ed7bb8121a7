"""The newest record of partitions, read beside the group."""

from collections.abc import Collection, Sequence

from streamproc.kafka.log import GoneError, Log
from streamproc.kafka.messages import origin_of, to_record
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import Settings

_STEPS_BACK = (2, 64, 1024)
"""How far before the end is looked, again where nothing is there: the ends of transactions take offsets, and so do
records of those that were aborted."""


class NewestRecords:
    """Asks with a client of its own each time: it is asked rarely. Commits nothing and joins no group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def read(self, topic: str, partitions: Collection[TopicPartition]) -> Sequence[Record]:
        """The last committed record of each of these partitions of ``topic`` that has one; of all when none is given.

        Raises DependencyDownError; UsageError when the topic is not there.
        """
        log = Log(self._settings, self._settings.kafka.group, glance=True)
        try:
            return self._read(log, partitions or log.partitions(topic))
        finally:
            log.close()

    @staticmethod
    def _read(log: Log, partitions: Collection[TopicPartition]) -> Sequence[Record]:
        found: dict[TopicPartition, Record] = {}
        bounds = log.bounds(partitions)
        for back in _STEPS_BACK:
            stretches = {
                place: range(max(kept.start, kept.stop - back), kept.stop)
                for place, kept in bounds.items()
                if place not in found
            }
            try:
                for records in log.read(stretches, lambda message: to_record(message, origin_of(message))):
                    found.update((record.source, record) for record in records)
            except GoneError:
                continue  # retention takes the last records: there may be none by now, and the next probe asks again
        return [found[place] for place in sorted(found)]
