"""What a topic has: its partitions, and their offsets by moment. For readers that are members of no group."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Timer

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.errors import Decision, decide, passes, unread
from streamproc.records.record import TopicPartition
from streamproc.telemetry.log import get_log

_log = get_log(__name__)

LATEST = -1
"""In the place of a time, the protocol's word for the end: of what is committed, with ``read_committed``."""
EARLIEST = -2
"""The same for the first offset that is kept."""
_CALL_S = 10.0
_THERE_S = 5.0
"""For the question that everything begins with: people wait for it."""
_TOLD_S = 2.0
_WAIT_S = 0.1
"""Between calls that fail at once."""


@contextmanager
def told_late(address: str) -> Iterator[None]:
    """Say that brokers do not answer before the patience with them is over: people wait in front of it."""
    timer = Timer(_TOLD_S, lambda: _log.warning("no broker answers yet", url=address, seconds=_TOLD_S))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Lookup:
    """Questions to the broker that one consumer asks. Used by one thread. ``address`` is for errors."""

    def __init__(self, consumer: Consumer, address: str) -> None:
        self._consumer = consumer
        self._address = address

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        """Of one topic, in order. Raises UsageError when it is not there, KafkaException."""
        with told_late(self._address):
            found = self._consumer.list_topics(topic, timeout=_THERE_S).topics[topic]
        if not found.partitions:
            raise UsageError(
                f"there is no topic {topic} at {self._address}: is that its name? `streamproc up` makes those of the "
                "settings on local servers"
            )
        return [TopicPartition(topic, number) for number in sorted(found.partitions)]

    def offsets(self, partitions: Iterable[TopicPartition], at: int) -> Mapping[TopicPartition, int]:
        """The first offset at or after a moment (ms since the epoch), -1 where there is none; ``LATEST``, ``EARLIEST``.

        One request for all: each would wait its turn behind a fetch that waits for records. Raises KafkaException.
        """
        asked = [confluent_kafka.TopicPartition(p.topic, p.partition, at) for p in partitions]
        # Again while leaders change, as those of a topic do that was just made.
        again = Retrying(
            retry=retry_if_exception(passes), stop=stop_after_delay(_CALL_S), wait=wait_fixed(_WAIT_S), reraise=True
        )
        return again(self._ask, asked)

    def _ask(self, asked: list[confluent_kafka.TopicPartition]) -> Mapping[TopicPartition, int]:
        positions = self._consumer.offsets_for_times(asked, timeout=_CALL_S) if asked else []
        for position in positions:
            if position.error is not None:
                raise KafkaException(position.error)
        return {TopicPartition(position.topic, position.partition): position.offset for position in positions}

    def judge(self, error: KafkaError) -> None:
        """Tell a lost connection, which the client mends by itself, from a broker that is away.

        Raises DependencyDownError.
        """
        if error.fatal() or decide(error) not in {Decision.DOWN, Decision.AGAIN}:
            raise self.down(KafkaException(error))
        try:
            self._consumer.list_topics(timeout=_CALL_S)
        except KafkaException as raised:
            raise self.down(raised) from raised

    def down(self, raised: KafkaException) -> DependencyDownError:
        """What to raise for a call that the broker did not answer; DependencyRefusesError for one that it forbids."""
        return unread(self._address, raised.args[0])
