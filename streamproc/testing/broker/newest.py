"""The newest record of partitions, as a client beside the group reads it."""

from collections.abc import Callable, Collection, Sequence

from streamproc.errors import DependencyDownError
from streamproc.records.record import Record, TopicPartition
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.errors import BrokerUnavailable


class BrokerNewest:
    """Looks at the end of a topic. ``wait`` takes the time that asking takes."""

    def __init__(self, broker: MemoryBroker, wait: Callable[[], None]) -> None:
        self._broker = broker
        self._wait = wait

    def read(self, topic: str, partitions: Collection[TopicPartition]) -> Sequence[Record]:
        """The last committed record of each of these partitions of ``topic`` that has one; of all when none is given.

        Raises DependencyDownError.
        """
        self._wait()
        try:
            self._broker.enter()
        except BrokerUnavailable as error:
            raise DependencyDownError("kafka", str(error)) from error
        read = (self._broker.read(*place) for place in sorted(partitions or self._broker.partitions(topic)))
        return [records[-1] for records in read if records]
