"""Upstream of a simulated world: stores recordings, announces them, and sometimes makes a mess of its topic."""

from collections.abc import Callable
from functools import partial
from random import Random

from streamproc.records.record import TopicPartition
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock
from streamproc.testing.simulation.nature import Nature
from streamproc.testing.simulation.plan import Plan
from streamproc.testing.simulation.recordings import Announced, Kind
from streamproc.testing.simulation.servers import Servers

AGE_MS = 600_000
LATE_S = 0.6
_PRODUCER = "upstream"
_AGAIN_S = 0.2


class Upstream:
    """Remembers what it announced, which the checks compare everything with."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        servers: Servers,
        nature: Nature,
        clock: Clock,
        random: Random,
        tell: Callable[[str], None],
    ) -> None:
        self.sent: dict[tuple[int, int], Announced] = {}
        """What was announced, by input partition and offset."""
        self.stamps: dict[tuple[int, int], int] = {}
        """The timestamp of each (ms since the epoch)."""
        self.lost: set[tuple[int, int]] = set()
        """Of it, what retention deleted before anybody read it."""
        self.trimmed = False
        """Whether retention took anything."""
        self.deleted = False
        """Whether retention took anything that the group had not read past."""
        self.failures: dict[str, int] = {}
        """How often the store fails to give an object."""
        self._plan = plan
        self._settings = settings
        self._servers = servers
        self._nature = nature
        self._clock = clock
        self._random = random
        self._tell = tell

    def begin(self) -> None:
        """Do what is planned, each thing at its time."""
        for at, announced in self._plan.announced:
            self._nature.later(at, partial(self.announce, announced))
        for at in self._plan.gaps:
            self._nature.later(at, self._leave_gap)
        if self._plan.retention_at is not None:
            self._nature.later(self._plan.retention_at, self._delete_unread)

    def announce(self, announced: Announced) -> None:
        """Store an object and announce it, or the other way round."""
        if announced.kind is Kind.LATE:
            self._nature.later(LATE_S, partial(self._put, announced))
        else:
            self._put(announced)
        if announced.failures:
            self.failures[announced.object_key] = announced.failures
        stamp = self._clock.wall_ms() - (AGE_MS if announced.aged else 0)
        # Past what the broker takes of a producer: a compressed record can unpack to more.
        log = self._servers.broker.log(TopicPartition(self._settings.topics.recordings, announced.partition))
        record = log.append(stamp, announced.key, announced.value, announced.headers, None)
        self.sent[announced.partition, record.offset] = announced
        self.stamps[announced.partition, record.offset] = stamp
        self._tell(
            f"record {announced.number} ({announced.kind}) is announced at {record.source} offset {record.offset}, "
            f"key {announced.key.decode()}"
        )

    def _put(self, announced: Announced) -> None:
        store = self._servers.store
        if announced.body is not None:
            down, store.down = store.down, None  # upstream has its own way to the store
            store.put(self._settings.storage.bucket, announced.object_key, announced.body, "audio/wav")
            store.down = down

    def _leave_gap(self) -> None:
        broker = self._servers.broker
        if broker.down:
            self._nature.later(_AGAIN_S, self._leave_gap)
            return
        topic, partition = self._settings.topics.recordings, self._random.randrange(self._plan.partitions)
        epoch = broker.init_transactions(_PRODUCER, 60)
        for _ in range(self._random.randrange(1, 3)):
            broker.produce(_PRODUCER, epoch, topic, partition, b"k", b"never announced")
        broker.end_transaction(_PRODUCER, epoch, commit=False)

    def _delete_unread(self) -> None:
        broker, topic = self._servers.broker, self._settings.topics.recordings
        place = TopicPartition(topic, self._random.randrange(self._plan.partitions))
        committed = broker.committed(self._settings.kafka.group, place)
        first = 0 if committed is None else committed.offset
        before = first + 2
        for partition, offset in self.sent:
            if partition == place.partition and first <= offset < before:
                self.lost.add((partition, offset))
        started = broker.log(place).start
        broker.delete_records(place, before)
        self.trimmed = self.trimmed or broker.log(place).start > started
        self.deleted = self.deleted or broker.log(place).start > first
        self._tell(f"{place}: everything before {before} is deleted, the group had read to {first}")
