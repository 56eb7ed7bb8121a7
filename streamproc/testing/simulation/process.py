"""One worker process in the simulated world: the real runtime on fakes, from its start to its end."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from greenlet import GreenletExit

from streamproc.dedupe.aliases import MemoryAliases
from streamproc.dedupe.memory import MemoryTier
from streamproc.records.record import CommitOffset
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.metrics import Metrics
from streamproc.testing.broker.errors import BrokerUnavailable
from streamproc.testing.broker.newest import BrokerNewest
from streamproc.testing.broker.sink import BrokerPlainSink, BrokerSink
from streamproc.testing.broker.source import BrokerSource
from streamproc.testing.broker.values import GroupMetadata
from streamproc.testing.codec import JsonRows
from streamproc.testing.fibers import FiberHost, Fibers, Process
from streamproc.testing.simulation.blame import Blame
from streamproc.testing.simulation.fault import Point
from streamproc.testing.simulation.heard import Heard
from streamproc.testing.simulation.held import CountedArena
from streamproc.testing.simulation.limits import Limits
from streamproc.testing.simulation.parts import (
    SimulatedArchive,
    SimulatedDecoders,
    SimulatedDevice,
    SimulatedEvents,
    SimulatedStore,
    SimulatedTier,
    TimedOut,
)
from streamproc.testing.simulation.servers import Servers
from streamproc.testing.simulation.upstream import Upstream
from streamproc.worker.ports import Assignments, Source
from streamproc.worker.runtime import Parts, Runtime

_METRICS = Metrics()
"""Shared by all: nothing here reads them, and they are slow to make."""


class Shared(Protocol):
    """What all processes of a run have in common."""

    settings: Settings
    limits: Limits
    fibers: Fibers
    clock: Clock
    servers: Servers
    upstream: Upstream
    hurt: Counter[str]
    blame: Blame
    deadly: frozenset[bytes]

    def visit(self, process: "WorkerProcess", point: Point) -> None:
        """Let others come in between, or a fault strike."""
        ...

    def takes(self) -> float:
        """How long something takes that is usually quick (s)."""
        ...

    def tell(self, what: str) -> None:
        """Add to the history."""
        ...

    def resumed(self, process: "WorkerProcess", segments: int) -> None:
        """Note how many finished segments of a former owner were found."""
        ...

    def die(self, process: "WorkerProcess") -> None:
        """End a process that a recording kills."""
        ...


class WorkerProcess(Process):
    """One incarnation of a slot's worker."""

    def __init__(self, shared: Shared, slot: int, number: int, ended: Callable[["WorkerProcess"], None]) -> None:
        super().__init__(f"worker {slot}.{number}")
        self.slot = slot
        self.error: BaseException | None = None
        """What ended it; None when it drained and left, or was killed."""
        self.asked = False
        """Whether it was asked to end."""
        self.finished = False
        self._shared = shared
        self._ended = ended
        self.ended_at = 0.0
        """When it ended by itself (virtual s)."""
        self._frozen_s = 0.0
        self._frozen_at: float | None = None
        self.arena = CountedArena(shared.settings.flow.micro_batches * 2 + 2)
        self.decoders = SimulatedDecoders(self.arena, shared.blame.decoders, self)
        self.device = SimulatedDevice(self.arena, self, shared.deadly, shared.blame.devices)
        most, undeclared = shared.settings.audio.max_object_bytes, shared.limits.undeclared
        self.store = SimulatedStore(shared.servers.store, shared.upstream.failures, shared.hurt, self, most, undeclared)
        self.holds_nothing_since: float | None = None
        """Since when credit is held of no record and no fetch, as the checks have seen it (virtual s)."""
        self.source: BrokerSource | None = None
        self.heard: Heard | None = None
        """What it and its source tell each other."""
        self.sink = self._make_sink()
        self._host = FiberHost(shared.fibers, self)
        self.runtime = Runtime(shared.settings, self._parts(), self._host, shared.clock, _METRICS)
        shared.fibers.start(self, "main", self._run)

    # --- what its parts see of it ------------------------------------------------------------------------------------

    def visit(self, point: Point) -> None:
        """Let others come in between, or a fault strike."""
        self._shared.visit(self, point)

    def sleep(self, seconds: float) -> None:
        """Take a while."""
        self._shared.fibers.sleep(seconds)

    def now(self) -> float:
        """Virtual time (s)."""
        return self._shared.fibers.now

    def takes(self) -> float:
        """How long something takes that is usually quick (s)."""
        return self._shared.takes()

    def spawn(self, name: str, run: Callable[[], None]) -> object:
        """A fiber of this process."""
        return self._shared.fibers.start(self, name, run)

    def wake(self) -> None:
        """End the loop's sleep."""
        self._host.wake().set()

    def resumed(self, segments: int) -> None:
        """Note how many finished segments of a former owner were found."""
        self._shared.resumed(self, segments)

    def die(self) -> None:
        """End, killed by a recording. Raises GreenletExit where that one runs."""
        self._shared.die(self)
        raise GreenletExit

    @property
    def member(self) -> str:
        """The name under which the group knows it."""
        return "nobody yet" if self.source is None else self.source.member_id

    @property
    def decided_at(self) -> float:
        """When it decided to end, at the earliest (virtual s): in its last poll, or it would have left its group."""
        return self.ended_at if self.heard is None else self.heard.polled_at

    @property
    def frozen_s(self) -> float:
        """How long it has stood still, all times together (virtual s)."""
        return self._frozen_s + (0.0 if self._frozen_at is None else self._shared.fibers.now - self._frozen_at)

    def ran_s(self) -> float:
        """Virtual time without that in which it stood still."""
        return self._shared.fibers.now - self.frozen_s

    # --- its life ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask it to end."""
        self.asked = True
        self.runtime.stop()

    def kill(self) -> None:
        """End it between two instructions."""
        self._disconnect()
        super().kill()

    def freeze(self) -> None:
        """Stop it; nobody sends its heartbeats either."""
        self._frozen_at = self._shared.fibers.now
        if self.source is not None:
            self.source.freeze()
        super().freeze()

    def thaw(self, fibers: Fibers) -> None:
        """Let it go on."""
        self._frozen_s, self._frozen_at = self.frozen_s, None
        if self.source is not None:
            self.source.thaw()
        super().thaw(fibers)

    def _run(self) -> None:
        try:
            self.runtime.run()
        except Exception as error:  # noqa: BLE001  # not swallowed: the checks look at what ended a process
            self.error = error
        self.finished = True
        self.ended_at = self._shared.fibers.now
        self.kill()
        self._ended(self)

    def _disconnect(self) -> None:
        if self.source is not None:
            self.source.die()

    def _parts(self) -> Parts:
        shared = self._shared
        return Parts(
            arena=self.arena,
            decoders=self.decoders,
            device=self.device,
            open_source=self._open_source,
            sink=self.sink,
            newest=BrokerNewest(shared.servers.broker, lambda: self.sleep(self.takes())),
            codec=SimulatedEvents(shared.servers.registry, self, shared.clock.monotonic),
            rows=JsonRows(),
            store=self.store,
            near=MemoryTier(shared.settings.dedupe.memory_bytes),
            near_aliases=MemoryAliases(shared.settings.dedupe.alias_bytes),
            shared=None if shared.servers.tier is None else SimulatedTier(shared.servers.tier, self),
            archive=None if shared.servers.archive is None else SimulatedArchive(shared.servers.archive, self),
            slot=str(self.slot),
        )

    def _open_source(self, assignments: Assignments) -> Source:
        shared = self._shared
        kafka, topics = shared.settings.kafka, shared.settings.topics
        self.heard = heard = Heard(
            assignments,
            shared.clock.monotonic,
            self.ran_s,
            lambda what: shared.tell(f"{self.name} ({self.member}): {what}"),
            partial(shared.blame.assigned, self.name),
            partial(shared.blame.released, self.name),
        )
        self.source = BrokerSource(
            shared.servers.broker,
            [topics.recordings, *topics.lanes],
            kafka.group,
            heard,
            max_poll_interval_s=kafka.max_poll_interval_s,
            sleep=self.sleep,
            point=self._point,
            here=shared.fibers.here,
        )
        heard.listen(self.source)
        return heard

    def _make_sink(self) -> BrokerSink | BrokerPlainSink:
        kafka, broker = self._shared.settings.kafka, self._shared.servers.broker
        if kafka.delivery == "at_least_once":
            return BrokerPlainSink(broker, self._commit_offsets, sleep=self.sleep, point=self._point)
        return BrokerSink(
            broker,
            f"{kafka.transactional_prefix}-{self.slot}",
            transaction_timeout_s=kafka.transaction_timeout_s,
            sleep=self.sleep,
            point=self._point,
        )

    def _point(self, name: str) -> None:
        try:
            self.visit(Point(name))
        except TimedOut as error:
            raise BrokerUnavailable("injected") from error

    def _commit_offsets(self, offsets: Sequence[CommitOffset], metadata: GroupMetadata) -> None:
        if self.source is None:
            raise RuntimeError("nothing can be committed before the group was joined")
        self.source.commit(offsets, metadata)
