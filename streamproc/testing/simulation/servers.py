"""The servers of a simulated world: its broker, store, shared tier and registry, and their outages."""

from collections import Counter
from collections.abc import Iterator

from streamproc.errors import Cause
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.log import PartitionLog
from streamproc.testing.simulation.parts import Registry
from streamproc.testing.store import MemoryStore
from streamproc.testing.tier import MemoryArchive, MemorySharedTier

STORE, TIER, REGISTRY, BROKER = "store", "tier", "registry", "broker"


class Servers:
    """What all workers of a world share. Its topics are there."""

    def __init__(self, settings: Settings, clock: Clock, *, shared_tier: bool) -> None:
        kafka = settings.kafka
        self.broker = MemoryBroker(clock, protocol=kafka.group_protocol, session_timeout_s=kafka.session_timeout_s)
        self.store = MemoryStore()
        self.tier = MemorySharedTier(clock.monotonic) if shared_tier else None
        self.archive = MemoryArchive() if settings.dedupe.archive else None
        self.registry = Registry()
        self._settings = settings
        self._down: Counter[str] = Counter()
        for name in self._names():
            self.broker.create_topic(name, self.partitions(name))

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        topics = self._settings.topics
        return topics.lane_partitions if topic in {*topics.lanes, topics.dead_letters} else topics.partitions

    def written(self, topic: str) -> Iterator[Record]:
        """What a ``read_committed`` reader sees of a topic, one partition after the other."""
        for number in range(self.partitions(topic)):
            yield from self.broker.read(topic, number)

    def inputs(self) -> Iterator[TopicPartition]:
        """Every partition that workers read."""
        topics = self._settings.topics
        for name in (topics.recordings, *topics.lanes):
            for number in range(self.partitions(name)):
                yield TopicPartition(name, number)

    def logs(self) -> Iterator[PartitionLog]:
        """Every log there is."""
        for name in self._names():
            for number in range(self.partitions(name)):
                yield self.broker.log(TopicPartition(name, number))

    def owned(self, member_id: str) -> frozenset[TopicPartition]:
        """What is a member's, as the coordinator knows it."""
        group = self._settings.kafka.group
        return frozenset(place for place in self.inputs() if self.broker.owner(group, place) == member_id)

    def refused(self, what: str) -> int:
        """How many calls a server did not answer while it was away."""
        match what:
            case "store":
                return self.store.refused
            case "tier":
                return 0 if self.tier is None else self.tier.refused
            case "registry":
                return self.registry.refused
            case _:
                return self.broker.refused

    def go_away(self, what: str) -> None:
        """Take a server down; it is back when it has come back as often."""
        self._down[what] += 1
        self._switch(what)

    def come_back(self, what: str) -> None:
        """End one of its outages, if there is one."""
        self._down[what] = max(0, self._down[what] - 1)
        self._switch(what)

    def heal(self) -> None:
        """End every outage."""
        for what in (STORE, TIER, REGISTRY, BROKER):
            self._down[what] = 0
            self._switch(what)

    def _switch(self, what: str) -> None:
        down = self._down[what] > 0
        match what:
            case "store":
                self.store.down = Cause.CONNECTION if down else None
                if self.archive is not None:  # it is in the store
                    self.archive.down = down
            case "tier":
                if self.tier is not None:
                    self.tier.down = down
            case "registry":
                self.registry.down = down
            case _:
                self.broker.down = down

    def _names(self) -> tuple[str, ...]:
        topics = self._settings.topics
        return (
            topics.recordings,
            *topics.lanes,
            topics.dead_letters,
            topics.results,
            topics.segments,
            topics.ledger,
        )
