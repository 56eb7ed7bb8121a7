"""Where a partition is to be read from, asked until the group's coordinator knows."""

from collections.abc import Callable, Mapping, Sequence

from streamproc.errors import Fatal, FatalError
from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.errors import BrokerUnavailable, Refusal, RefusedError
from streamproc.testing.broker.membership import Membership

_AGAIN_S = 0.2


class Starts:
    """Waits out an open transaction over the offsets, and a broker that is away, within a budget."""

    def __init__(
        self, broker: MemoryBroker, budget_s: float, sleep: Callable[[float], None], point: Callable[[str], None]
    ) -> None:
        self._broker = broker
        self._budget_s = budget_s
        self._sleep = sleep
        self._point = point

    def read(
        self, membership: Membership, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommitOffset] | None:
        """None when the group went on without this member. Raises FatalError when the budget is spent."""
        end = self._broker.act() + self._budget_s
        while True:
            try:
                self._point("assign")
                starts = self._broker.fetch_offsets(membership.metadata(), partitions)
            except (RefusedError, BrokerUnavailable) as error:
                if isinstance(error, RefusedError) and error.refusal is Refusal.UNKNOWN_MEMBER_ID:
                    return None
                if self._broker.act() >= end:
                    names = ", ".join(map(str, partitions))
                    message = f"where to start {names} was not learned in {self._budget_s:g} s: {error}"
                    raise FatalError(message, Fatal.START_UNKNOWN) from error
            else:
                return {TopicPartition(start.topic, start.partition): start for start in starts}
            self._sleep(_AGAIN_S)
