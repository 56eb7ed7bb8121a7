"""One broker in memory with everything around it, and time that passes when somebody waits."""

from collections.abc import Callable
from typing import Literal

from streamproc.records.record import CommitOffset, OutputRecord, Record, TopicPartition
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.sink import BrokerSink
from streamproc.testing.broker.source import BrokerSource
from streamproc.testing.clock import ManualClock
from tests.owner import Owner

GROUP = "group"
SESSION_S = 6.0
MAX_POLL_S = 30.0
TRANSACTION_S = 10.0


def nowhere(_name: str) -> None:
    """A point at which nothing comes in between."""


class World:
    def __init__(self, protocol: Literal["consumer", "classic"] = "consumer", partitions: int = 2) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock, protocol=protocol, session_timeout_s=SESSION_S)
        self.broker.create_topic("in", partitions)
        self.broker.create_topic("out", 1)
        self.partitions = [TopicPartition("in", n) for n in range(partitions)]
        self.owners: dict[BrokerSource, Owner] = {}

    def source(self, owner: Owner | None = None, point: Callable[[str], None] = nowhere) -> BrokerSource:
        owner = owner or Owner()
        source = BrokerSource(
            self.broker,
            ["in"],
            GROUP,
            owner,
            max_poll_interval_s=MAX_POLL_S,
            sleep=self.clock.advance,
            point=point,
            start_budget_s=TRANSACTION_S + 15,
        )
        self.owners[source] = owner
        return source

    def sink(self, transactional_id: str = "slot-0", point: Callable[[str], None] = nowhere) -> BrokerSink:
        sink = BrokerSink(
            self.broker,
            transactional_id,
            transaction_timeout_s=TRANSACTION_S,
            sleep=self.clock.advance,
            point=point,
        )
        sink.open()
        return sink

    def publish(self, count: int, partition: int = 0) -> None:
        for _ in range(count):
            end = self.broker.log(TopicPartition("in", partition)).end
            self.broker.append("in", partition, None, b"%d/%d" % (partition, end))

    def poll(self, *sources: BrokerSource, seconds: float = 5) -> list[Record]:
        """Let these poll in turn for a while; what they took."""
        taken: list[Record] = []
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            for source in sources:
                taken += source.poll(100, 0.1)
        return taken

    def owns(self, source: BrokerSource) -> list[int]:
        """What the coordinator says that this one may work on."""
        return [p.partition for p in self.partitions if self.broker.owner(GROUP, p) == source.member_id]

    def committed(self, partition: int = 0) -> int | None:
        found = self.broker.committed(GROUP, TopicPartition("in", partition))
        return None if found is None else found.offset

    def visible(self) -> list[bytes | None]:
        return [record.value for record in self.broker.read("out", 0)]


def outputs(*values: bytes) -> list[OutputRecord]:
    return [OutputRecord("out", None, value) for value in values]


def offset(place: int, partition: int = 0, metadata: str = "") -> CommitOffset:
    return CommitOffset("in", partition, place, metadata)
