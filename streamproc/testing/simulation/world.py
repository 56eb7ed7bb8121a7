"""The simulated world: its servers, its upstream, its supervisor, and the faults that strike it."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from random import Random

from streamproc.errors import Cause
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.settings import (
    AudioSettings,
    FlowSettings,
    KafkaSettings,
    RetrySettings,
    Settings,
    StorageSettings,
    TopicSettings,
)
from streamproc.telemetry.clock import Clock
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.errors import BrokerUnavailable, RefusedError
from streamproc.testing.broker.log import PartitionLog
from streamproc.testing.broker.values import GroupMetadata
from streamproc.testing.fibers import FiberClock, Fibers, Process
from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.parts import Registry
from streamproc.testing.simulation.plan import Plan
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.recordings import Announced, Kind
from streamproc.testing.store import MemoryStore
from streamproc.testing.tier import MemorySharedTier

EPOCH_MS = 1_800_000_000_000
SESSION_S = 1.0
RESTART_S = 0.2
"""How long the supervisor takes to start a process that ended."""
AGE_MS = 600_000
LATE_S = 0.6
_UPSTREAM = "upstream"
_AGAIN_S = 0.2
OUT_OF_RANGE = "which is not there"
STORE, TIER, REGISTRY, BROKER = "store", "tier", "registry", "broker"


@lru_cache
def settings_for(protocol: str, delivery: str, records: int, partitions: int, *, tight: bool) -> Settings:
    """Settings whose spans are short: virtual time is free, but what happens in it is not."""
    return Settings(
        kafka=KafkaSettings(
            group_protocol=protocol,  # type: ignore[arg-type]  # pydantic checks it
            delivery=delivery,  # type: ignore[arg-type]  # same
            transaction_timeout_s=1.5,
            max_poll_interval_s=20,
            session_timeout_s=SESSION_S,
        ),
        topics=TopicSettings(partitions=partitions, lane_partitions=1),
        storage=StorageSettings(young_s=5),
        audio=AudioSettings(max_object_bytes=200),
        flow=FlowSettings(
            micro_batch_records=records,
            linger_s=0.1,
            micro_batches=2,
            in_flight_bytes=250 if tight else 5_000_000,
            in_flight_audio_s=8 if tight else 100,
            drain_s=2,
            io_threads=2 if tight else 4,
            pause_after_s=0.5,
        ),
        retry=RetrySettings(delays_s=(0.4, 1.0)),
    )


class World:
    """Everything around the workers. Satisfies ``process.Shared``."""

    def __init__(
        self,
        plan: Plan,
        strike: Callable[["World", WorkerProcess, Fault], None],
        tell: Callable[[float, str], None] | None = None,
    ) -> None:
        self.plan = plan
        self.random = random = Random(plan.seed)  # noqa: S311  # a schedule that can be played again, not a secret
        self.fibers = Fibers(random)
        self.clock: Clock = FiberClock(self.fibers, EPOCH_MS)
        self.settings = settings_for(
            plan.protocol, plan.delivery, plan.micro_batch_records, plan.partitions, tight=plan.tight
        )
        self.broker = MemoryBroker(self.clock, protocol=plan.protocol, session_timeout_s=SESSION_S)
        self.store = MemoryStore()
        self.tier = MemorySharedTier() if plan.shared_tier else None
        self.registry = Registry()
        self.failures: dict[str, int] = {}
        self.hurt: Counter[str] = Counter()
        self.hurt_bodies: Counter[bytes] = Counter()
        self.exits = 0
        """Processes that ended by themselves."""
        self.exits_unseen: deque[WorkerProcess] = deque()
        """Of them, those that the checks have not looked at."""
        self.killed = 0
        self.struck: set[Fault] = set()
        """The faults that came to strike."""
        self.felt: set[Fault] = set()
        """Of them those that had an effect."""
        self.sent: dict[tuple[int, int], Announced] = {}
        """What was announced, by input partition and offset."""
        self.stamps: dict[tuple[int, int], int] = {}
        """The timestamp of each (ms since the epoch)."""
        self.lost: set[tuple[int, int]] = set()
        """Of it, what retention deleted before anybody read it."""
        self.deleted = False
        """Whether retention took anything that the group had not read past."""
        self._strike = strike
        self._tell = tell
        self._nature = Process("world")
        self._running: dict[int, WorkerProcess] = {}
        self._wanted = plan.workers
        self._numbers: Counter[int] = Counter()
        self._visits: Counter[Point] = Counter()
        self._armed = {(fault.point, fault.visit): fault for fault in plan.faults}
        self._waiting: dict[Point, Fault] = {}
        """Faults that came to their visit and found nothing to hit."""
        self._down: Counter[str] = Counter()
        self._frozen: dict[WorkerProcess, tuple[Fault, frozenset[TopicPartition]]] = {}
        """Those that stand still, what stopped them and what they had then."""
        self._joiners: dict[WorkerProcess, tuple[Fault, frozenset[TopicPartition]]] = {}
        """Those that joined because of a fault, and what the process had that it struck."""
        self._maintained = False
        self._busy = 0
        """Of nature's fibers, those that have not ended."""
        topics = self.settings.topics
        self._topics = (
            topics.recordings,
            *topics.lanes,
            topics.dead_letters,
            topics.results,
            topics.segments,
            topics.ledger,
        )
        for name in self._topics:
            self.broker.create_topic(name, self.partitions(name))

    # --- its course --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start upstream and the workers."""
        for at, announced in self.plan.announced:
            self._later(at, partial(self.announce, announced))
        for at in self.plan.gaps:
            self._later(at, self._leave_gap)
        if self.plan.retention_at is not None:
            self._later(self.plan.retention_at, self._delete_unread)
        for slot in range(self._wanted):
            self.start(slot)

    @property
    def calm(self) -> bool:
        """Whether upstream has sent everything and every fault that struck is over."""
        return not self._busy

    def heal(self) -> None:
        """Disarm what has not struck, and let everything be well."""
        self._armed.clear()
        self._waiting.clear()
        for process in list(self._frozen):
            self._thaw(process)
        for what in (STORE, TIER, REGISTRY, BROKER):
            self._down[what] = 0
            self._switch(what)

    def announce(self, announced: Announced) -> None:
        """Store an object and announce it, or the other way round."""
        if announced.kind is Kind.LATE:
            self._later(LATE_S, partial(self._put, announced))
        else:
            self._put(announced)
        if announced.failures:
            self.failures[announced.object_key] = announced.failures
        stamp = self.clock.wall_ms() - (AGE_MS if announced.aged else 0)
        # Past what the broker takes of a producer: a compressed record can unpack to more.
        log = self.broker.log(TopicPartition(self.settings.topics.recordings, announced.partition))
        record = log.append(stamp, announced.key, announced.value, announced.headers, None)
        self.sent[announced.partition, record.offset] = announced
        self.stamps[announced.partition, record.offset] = stamp
        self.tell(
            f"record {announced.number} ({announced.kind}) is announced at {record.source} offset {record.offset}, "
            f"key {announced.key.decode()}"
        )

    def start(self, slot: int) -> WorkerProcess:
        """Start a process for a slot."""
        number = self._numbers[slot]
        self._numbers[slot] += 1
        process = WorkerProcess(self, slot, number, self._process_ended)
        self._running[slot] = process
        self.tell(f"{process.name} starts")
        return process

    def hurts(self, announced: Announced) -> int:
        """How many tries of a record were spoiled."""
        return self.hurt[announced.object_key] + self.hurt_bodies[announced.body or b""]

    def stop(self) -> None:
        """Ask every worker to end, for good."""
        self._wanted = 0
        for process in self._running.values():
            process.runtime.stop()

    def processes(self) -> list[WorkerProcess]:
        """Those that live, frozen twins too."""
        return [*self._running.values(), *(p for p in self._frozen if p not in self._running.values())]

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        topics = self.settings.topics
        return topics.lane_partitions if topic in {*topics.lanes, topics.dead_letters} else topics.partitions

    def written(self, topic: str) -> Iterator[Record]:
        """What a ``read_committed`` reader sees of a topic, one partition after the other."""
        for number in range(self.partitions(topic)):
            yield from self.broker.read(topic, number)

    def inputs(self) -> Iterator[TopicPartition]:
        """Every partition that workers read."""
        topics = self.settings.topics
        for name in (topics.recordings, *topics.lanes):
            for number in range(self.partitions(name)):
                yield TopicPartition(name, number)

    def owned(self, process: WorkerProcess) -> frozenset[TopicPartition]:
        """What is a process's, as the coordinator knows it."""
        group, source = self.settings.kafka.group, process.source
        if source is None:
            return frozenset()
        return frozenset(p for p in self.inputs() if self.broker.owner(group, p) == source.member_id)

    def has_something(self, process: WorkerProcess, point: Point) -> bool:
        """Whether a process has partitions that it was told of, or is being told of at this point."""
        told = process.source is not None and (point is Point.ASSIGN or bool(process.source.owned))
        return told and bool(self.owned(process))

    def logs(self) -> Iterator[PartitionLog]:
        """Every log there is."""
        for name in self._topics:
            for number in range(self.partitions(name)):
                yield self.broker.log(TopicPartition(name, number))

    def tell(self, what: str) -> None:
        """Add to the history, when somebody listens."""
        if self._tell is not None:
            self._tell(self.fibers.now, what)

    # --- for the processes -------------------------------------------------------------------------------------------

    def takes(self) -> float:
        """Mostly a few milliseconds (s)."""
        return self.random.random() ** 4 * 0.05

    def visit(self, process: WorkerProcess, point: Point) -> None:
        """Let others come in between, or a fault strike."""
        self._visits[point] += 1
        if point is Point.ASSIGN and process in self._joiners:
            reason, had = self._joiners[process]
            if had & self.owned(process):
                self.felt.add(reason)
        fault = self._armed.pop((point, self._visits[point]), None) or self._waiting.pop(point, None)
        if fault is not None and fault.waits and not self._can_hit(process, fault):
            self._waiting[point] = fault
            fault = None
        if fault is None:
            self.fibers.switch()
        else:
            self.tell(f"{process.name}: {fault.kind} at {point}, visit {self._visits[point]}")
            self.struck.add(fault)
            self._strike(self, process, fault)

    def _can_hit(self, process: WorkerProcess, fault: Fault) -> bool:
        match fault.kind:
            case FaultKind.DEVICE_DEATH:
                return process.device.holds > 0
            case FaultKind.DECODER_DEATH:
                return bool(process.decoders.running)
            case FaultKind.DUPLICATE:
                return process.source is not None and bool(process.source.begun)
            case FaultKind.REVOKE | FaultKind.LOST | FaultKind.ZOMBIE:
                return self.has_something(process, fault.point)
            case _:
                return True

    # --- what happens ------------------------------------------------------------------------------------------------

    def crash(self, process: WorkerProcess) -> None:
        """Kill a process; its supervisor starts another."""
        self.killed += 1
        process.kill()
        self._replace(process)

    def _process_ended(self, process: WorkerProcess) -> None:
        self.exits += 1
        self.exits_unseen.append(process)
        self.tell(f"{process.name} ended: {process.error!r}")
        if self.deleted and OUT_OF_RANGE in str(process.error):
            self._accept_loss()
        self._replace(process)

    def _replace(self, process: WorkerProcess) -> None:
        """Start a process again, as a supervisor does, unless its slot has a newer one."""
        if self._running.get(process.slot) is process:
            del self._running[process.slot]
            if process.slot < self._wanted:
                self._later(RESTART_S, partial(self._restart, process.slot))

    def _restart(self, slot: int) -> None:
        if slot < self._wanted and slot not in self._running and not self._maintained:
            self.start(slot)

    def join(self, process: WorkerProcess, fault: Fault) -> None:
        """Start one worker more; it is felt when that one gets something of what a process has."""
        slot = self._wanted
        self._wanted += 1
        self._joiners[self.start(slot)] = fault, self.owned(process)

    def freeze(self, process: WorkerProcess, seconds: float, fault: Fault) -> None:
        """Stop a process for a while; with a twin its supervisor takes it for dead and starts another.

        A twin is felt when its slot is another's by the time it goes on, a zombie when something is that it had.
        """
        self._frozen[process] = fault, self.owned(process)
        process.freeze()
        alone = self._running.get(process.slot) is process
        if fault.kind is FaultKind.TWIN and alone:
            del self._running[process.slot]
            self._later(RESTART_S, partial(self._restart, process.slot))
        self._later(seconds, partial(self._thaw, process))

    def _thaw(self, process: WorkerProcess) -> None:
        if process in self._frozen:
            fault, had = self._frozen.pop(process)
            superseded = self._running.get(process.slot, process) is not process
            if superseded if fault.kind is FaultKind.TWIN else had - self.owned(process):
                self.felt.add(fault)
            self.tell(f"{process.name} goes on")
            process.thaw(self.fibers)

    def take_down(self, what: str, seconds: float, fault: Fault | None) -> None:
        """Let a dependency go away for a while; a fault is felt when somebody asks it meanwhile."""
        self._down[what] += 1
        self._switch(what)
        before = self._refused(what)

        def up() -> None:
            if fault is not None and self._refused(what) > before:
                self.felt.add(fault)
            self._down[what] = max(0, self._down[what] - 1)
            self._switch(what)

        self._later(seconds, up)

    def _refused(self, what: str) -> int:
        match what:
            case "store":
                return self.store.refused
            case "tier":
                return 0 if self.tier is None else self.tier.refused
            case "registry":
                return self.registry.refused
            case _:
                return self.broker.refused

    def _switch(self, what: str) -> None:
        down = self._down[what] > 0
        match what:
            case "store":
                self.store.down = Cause.CONNECTION if down else None
            case "tier":
                if self.tier is not None:
                    self.tier.down = down
            case "registry":
                self.registry.down = down
            case _:
                self.broker.down = down

    def _accept_loss(self) -> None:
        """Do what the error says: end the group, commit an offset for it, start it again behind the hole."""
        if not self._maintained:
            self._maintained = True
            for process in self._running.values():
                process.runtime.stop()
            self._later(_AGAIN_S, self._maintain)

    def _maintain(self) -> None:
        topic, group = self.settings.topics.recordings, self.settings.kafka.group
        behind = []
        for number in range(self.plan.partitions):
            committed = self.broker.committed(group, TopicPartition(topic, number))
            first = self.broker.log(TopicPartition(topic, number)).start
            if first and (committed is None or committed.offset < first):
                behind.append(CommitOffset(topic, number, first))
        try:
            if behind:
                self.broker.commit_offsets(GroupMetadata(group, "", -1), behind)
        except (RefusedError, BrokerUnavailable):
            self._later(_AGAIN_S, self._maintain)  # somebody is in the group still
            return
        self._maintained = False
        for slot in range(self._wanted):
            self._restart(slot)

    # --- upstream ----------------------------------------------------------------------------------------------------

    def _put(self, announced: Announced) -> None:
        if announced.body is not None:
            down, self.store.down = self.store.down, None  # upstream has its own way to the store
            self.store.put(self.settings.storage.bucket, announced.object_key, announced.body, "audio/wav")
            self.store.down = down

    def _leave_gap(self) -> None:
        if self.broker.down:
            self._later(_AGAIN_S, self._leave_gap)
            return
        topic, partition = self.settings.topics.recordings, self.random.randrange(self.plan.partitions)
        epoch = self.broker.init_transactions(_UPSTREAM, 60)
        for _ in range(self.random.randrange(1, 3)):
            self.broker.produce(_UPSTREAM, epoch, topic, partition, b"k", b"never announced")
        self.broker.end_transaction(_UPSTREAM, epoch, commit=False)

    def _delete_unread(self) -> None:
        topic = self.settings.topics.recordings
        place = TopicPartition(topic, self.random.randrange(self.plan.partitions))
        committed = self.broker.committed(self.settings.kafka.group, place)
        first = 0 if committed is None else committed.offset
        before = first + 2
        for partition, offset in self.sent:
            if partition == place.partition and first <= offset < before:
                self.lost.add((partition, offset))
        self.broker.delete_records(place, before)
        self.deleted = True
        self.tell(f"{place}: everything before {before} is deleted, the group had read to {first}")

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._busy += 1

        def run() -> None:
            self.fibers.sleep(seconds)
            act()
            self._busy -= 1

        self.fibers.start(self._nature, "nature", run)
