"""The runtime: the only owner of threads, processes and signals of a worker."""

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType

from streamproc.arena import Arena
from streamproc.errors import DependencyDownError, FatalError, StreamprocError
from streamproc.records.compute import DeviceReady
from streamproc.records.identity import ModelIdentity
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Dependency, Metrics
from streamproc.telemetry.timesheet import Activity, Hand, NoSheet, Sheet, at
from streamproc.worker.calls import PooledCalls
from streamproc.worker.core.ownership import Ownership
from streamproc.worker.core.strikes import NOBODYS_FAULT
from streamproc.worker.host import Executor, Host
from streamproc.worker.pipeline import Pipeline, World
from streamproc.worker.poller import Arrived, Begun, Gone, Poller, Revoking
from streamproc.worker.ports import (
    Archive,
    Assignments,
    DecoderChildren,
    DeviceChild,
    Ends,
    EventCodec,
    NearAliases,
    NearTier,
    Newest,
    ObjectStore,
    RowCodec,
    SharedTier,
    Sink,
    Source,
    Spans,
)
from streamproc.worker.stages.tiers import TierCalls

log = get_log(__name__)

TICK_S = 0.2
"""The longest sleep of the loop: timers (a decoder that hangs, a lane that falls due) are looked at this often."""

LEAVE_S = 5.0
"""How long a worker that ends waits for its group to be left, past its drain where it drains. With a broker that
answers it takes a fraction of a second; without one the group cannot be left, and the exit is not to be held up."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What ``wiring`` puts together and the runtime starts, steps and stops."""

    arena: Arena
    decoders: DecoderChildren
    device: DeviceChild
    open_source: Callable[[Assignments], Source]
    sink: Sink
    newest: Newest
    codec: EventCodec
    rows: RowCodec
    store: ObjectStore
    near: NearTier
    near_aliases: NearAliases
    shared: SharedTier | None
    archive: Archive | None
    slot: str
    ends: Ends | None = None
    spans: Spans | None = None


class Runtime:
    """One worker: ``run`` returns when it was asked to stop and has drained, or raises what ended it."""

    def __init__(self, settings: Settings, parts: Parts, host: Host, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._parts = parts
        self._clock = clock
        self._metrics = metrics
        self._host = host
        self._wake = host.wake()
        self._ownership = Ownership()
        self._poller = Poller(settings.flow, parts.open_source, self._ownership, host, self._wake, clock, metrics)
        self._sheet: Sheet = NoSheet()
        self._pipeline: Pipeline | None = None
        self._identity: ModelIdentity | None = None
        self._revoking: list[Revoking] = []
        self._decoder_restarts = 0
        self._sandbox: str | None = None
        self._stopping = False
        self._unreached = False
        """Whether the broker did not answer when the sink was to be opened."""
        self._release = False
        """Whether somebody asked to release the brake."""
        self._leave_until = math.inf
        """When a drain gave up waiting for the polling thread, at the latest."""
        self._started_at = clock.monotonic()

    # --- for people and probes; called from other threads ----------------------------------------------------------

    def stop(self) -> None:
        """Finish what is in flight, leave the group, end. Safe from a signal handler and from any thread."""
        self._stopping = True
        self._wake.set()

    def release_brake(self) -> bool:
        """Take records again although so many became dead letters; whether the brake was on. Safe from any thread."""
        pipeline = self._pipeline
        if pipeline is None or not pipeline.held:
            return False
        self._release = True
        self._wake.set()
        return True

    @property
    def state(self) -> str:
        """What the worker is doing, in one word or two."""
        if self._stopping:
            return "draining"
        if self._pipeline is None:
            return "loading"
        if self._broker_away:
            return "waiting for the broker"
        if not self.holds:
            return "joining"
        return _state_of(self._pipeline)

    @property
    def warm(self) -> bool:
        """Whether the network has been loaded."""
        return self._identity is not None

    @property
    def started(self) -> bool:
        """Whether the network was loaded and the broker was reached, so that the group is joined."""
        return self._pipeline is not None

    @property
    def holds(self) -> bool:
        """Whether partitions are held."""
        return bool(self._ownership.partitions())

    @property
    def moves(self) -> int | None:
        """How often something moved; None while there is nothing that could."""
        return self._pipeline.moves if self._pipeline else None

    @property
    def ready(self) -> bool:
        """Whether the network is warm, partitions are held, the broker answers and the brake is off."""
        pipeline = self._pipeline
        works = pipeline is not None and self.holds and pipeline.loaded and not pipeline.held
        return works and not self._stopping and not self._broker_away

    @property
    def _broker_away(self) -> bool:
        """Whether the client misses its brokers, or they take questions and answer none."""
        pipeline = self._pipeline
        return (
            self._unreached or self._poller.trouble is not None or (pipeline is not None and pipeline.progress.silent)
        )

    @property
    def brake(self) -> Mapping[str, object]:
        """What the brake says; nothing before there is one."""
        return self._pipeline.brake() if self._pipeline else {}

    @property
    def uptime_s(self) -> float:
        """Seconds since this worker was built."""
        return round(self._clock.monotonic() - self._started_at, 3)

    def status(self) -> Mapping[str, object]:
        """What a person would ask for."""
        pipeline = self._pipeline
        return {
            "state": self.state,
            "uptime_s": self.uptime_s,
            "slot": self._parts.slot,
            "model": self._identity.name if self._identity else None,
            "weights_sha256": self._identity.weights_sha256 if self._identity else None,
            "sandbox": self._sandbox,
            "partitions": sorted(map(str, self._ownership.partitions())),
            "in_flight": dict(pipeline.in_flight) if pipeline else {},
            "brake": self.brake,
        }

    def show(self) -> None:
        """Set the gauges of what this worker is doing, for a scrape."""
        self._metrics.partitions.set(len(self._ownership.partitions()))
        self._metrics.ready.set(self.ready)
        self._metrics.dependency_down[Dependency.KAFKA].set(self._broker_away)
        if (pipeline := self._pipeline) is not None:
            pipeline.show()

    # --- the life of the process -------------------------------------------------------------------------

    def run(self) -> None:
        """Start everything, work until ``stop``, stop everything. Raises FatalError and other StreamprocErrors."""
        flow, host = self._settings.flow, self._host
        self._sheet = host.sheet(Hand.LOOP, Activity.START)
        with ExitStack() as stack:
            stack.callback(self._parts.arena.close)
            self._parts.device.start()
            stack.callback(self._parts.device.close)
            self._parts.decoders.start(self._clock.monotonic())
            stack.callback(self._parts.decoders.close)
            commit, io, tier, canary = (
                host.executor(Hand.COMMIT, 1),
                host.executor(Hand.IO, flow.io_threads),
                host.executor(Hand.TIER, 1),
                host.executor(Hand.CANARY, 1),
            )
            for executor in (commit, io, tier, canary):
                stack.callback(executor.close)
            stack.callback(self._parts.sink.close)
            stack.push(self._let_go)
            self._warm_up(commit)
            if self._stopping or self._identity is None:
                return  # the group is not joined only to leave it
            self._pipeline = self._build(commit, io, tier, canary)
            self._poller.start()
            self._work(self._pipeline)

    def _build(self, commit: Executor, io: Executor, tier: Executor, canary: Executor) -> Pipeline:
        parts, wake = self._parts, self._wake
        world = World(
            codec=parts.codec,
            rows=parts.rows,
            store=parts.store,
            near=parts.near,
            near_aliases=parts.near_aliases,
            shared=parts.shared,
            archive=parts.archive,
            decoders=parts.decoders,
            device=parts.device,
            arena=parts.arena,
            sink=parts.sink,
            newest=parts.newest,
            group_metadata=self._poller.group_metadata,
            clock=self._clock,
            schema_lookups=PooledCalls(io, Activity.RESOLVE, wake),
            fetches=PooledCalls(io, Activity.FETCH, wake),
            heads=PooledCalls(io, Activity.HEAD, wake),
            probes=PooledCalls(canary, Activity.PROBE, wake),  # beside fetches, all of which may hang
            puts=PooledCalls(io, Activity.PUT, wake),
            tier_calls=TierCalls(
                reads=PooledCalls(tier, Activity.READ, wake),
                writes=PooledCalls(tier, Activity.WRITE, wake),
                claims=PooledCalls(tier, Activity.WRITE, wake),
                releases=PooledCalls(tier, Activity.WRITE, wake),
                archive_reads=PooledCalls(io, Activity.READ, wake),
                archive_writes=PooledCalls(io, Activity.WRITE, wake),
            ),
            alias_reads=PooledCalls(tier, Activity.READ, wake),
            alias_writes=PooledCalls(tier, Activity.WRITE, wake),
            kept_reads=PooledCalls(tier, Activity.READ, wake),
            kept_writes=PooledCalls(tier, Activity.WRITE, wake),
            commits=PooledCalls(commit, Activity.COMMIT, wake),
            newest_reads=PooledCalls(io, Activity.NEWEST, wake),
            ends=parts.ends,
            drained=lambda: self._poller.drained,
            ends_reads=PooledCalls(canary, Activity.ENDS, wake),
            sheet=self._sheet,
            spans=parts.spans,
        )
        if self._identity is None:
            raise RuntimeError("the pipeline needs to know the network")
        return Pipeline(self._settings, world, self._identity, parts.slot, self._ownership, self._metrics)

    def _warm_up(self, commit: Executor) -> None:
        """Load the network and reach the broker; nothing is taken from the group before both are done."""
        opening: PooledCalls[str, None] = PooledCalls(commit, Activity.OPEN, self._wake)
        opening.submit("sink", self._parts.sink.open)
        opened = False
        while not self._stopping and not (opened and self._identity):
            self._sleep()
            now = self._clock.monotonic()
            self._parts.decoders.take(now)  # their first word; left lying it would end every sleep at once
            for event in self._parts.device.take(now):
                if isinstance(event, DeviceReady):
                    self._identity = event.identity
                    log.info("network is warm", detail=event.identity.name, seconds=self.uptime_s)
            for _, answer in opening.take():
                self._unreached = isinstance(answer, DependencyDownError)
                if isinstance(answer, DependencyDownError):
                    log.warning("waiting for the broker", dependency="kafka", detail=answer.detail)
                    opening.submit("sink", self._parts.sink.open)
                elif isinstance(answer, Exception):
                    raise answer
                else:
                    opened = True

    def _work(self, pipeline: Pipeline) -> None:
        drain_until: float | None = None
        while self._poller.running:
            self._sleep()
            self._hear(pipeline)
            if self._release:
                self._release = False
                pipeline.release()
            while pipeline.step():
                self._hear(pipeline)
            self._steer(pipeline)
            if self._stopping:
                pipeline.drain()
                now = self._clock.monotonic()
                drain_until = drain_until or now + self._settings.flow.drain_s
                self._poller.drain()
                if pipeline.idle or now >= drain_until:
                    self._poller.close(max(0.0, drain_until - now))
                self._leave_until = drain_until + LEAVE_S
                if now >= self._leave_until:
                    log.warning("the group was not left in time", seconds=LEAVE_S)
                    break
        if self._poller.error is not None:
            raise self._poller.error
        if not self._stopping:
            raise FatalError("the polling thread ended by itself")
        log.info("stopped", seconds=self.uptime_s)

    def _hear(self, pipeline: Pipeline) -> None:
        """Act on what the polling thread told, in the order it was told."""
        while self._poller.news:
            match self._poller.news.popleft():
                case Begun(starts):
                    pipeline.begin(starts)
                case Arrived(polled):
                    pipeline.accept(polled)
                case Revoking(partitions) as revoking:
                    pipeline.revoke(partitions)
                    self._revoking.append(revoking)
                case Gone(partitions):
                    pipeline.lose(partitions)

    def _steer(self, pipeline: Pipeline) -> None:
        """Tell the polling thread what it may do."""
        if (restarts := self._parts.decoders.restarts) != self._decoder_restarts:
            self._metrics.decoder_restarts.inc(restarts - self._decoder_restarts)
            self._decoder_restarts = restarts
        sandbox = self._parts.decoders.sandbox
        if sandbox not in {None, "full", self._sandbox}:
            log.warning("decoders run in a weaker sandbox: this kernel refuses seccomp", detail=sandbox)
        self._sandbox = sandbox
        pipeline.progress.step(pipeline.now())
        self._poller.not_due = pipeline.not_due
        if pipeline.room and not self._poller.news:
            self._poller.room.set()
        else:
            self._poller.room.clear()
        for revoking in self._revoking:
            if pipeline.settled(revoking.partitions):
                revoking.settled.set()
        self._revoking = [revoking for revoking in self._revoking if not revoking.settled.is_set()]

    def _sleep(self) -> None:
        with at(self._sheet, Activity.IDLE if self._pipeline else Activity.START):
            self._wake.sleep(TICK_S, (self._parts.device.fileno(), *self._parts.decoders.filenos()))

    def _let_go(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Whatever ended the loop: a revoke waits for it no more, and the group is left, for ``LEAVE_S`` at most.

        After a drain the polling thread has ended already, or has had this time. After an error its partitions would
        otherwise be nobody's until the session of a process that is gone times out. Where that error names no record,
        the next owners are told first, for as long at most: it leaves the other its time.
        """
        until = min(self._clock.monotonic() + LEAVE_S, self._leave_until)
        if isinstance(error, FatalError) and error.cause in NOBODYS_FAULT and self._pipeline is not None:
            self._acquit(self._pipeline, until)
            until = self._clock.monotonic() + LEAVE_S
        self._poller.close(0)
        while self._poller.running and self._clock.monotonic() < until:
            self._wake.sleep(TICK_S, ())

    def _acquit(self, pipeline: Pipeline, until: float) -> None:
        """Take the blame from what is in flight. Where that fails, the next owners count a crash."""
        try:
            pipeline.acquit()
            while self._poller.running and not pipeline.acquitted():
                if self._clock.monotonic() >= until:
                    log.warning("what is in flight may be blamed for this end", seconds=LEAVE_S)
                    break
                self._wake.sleep(TICK_S, ())
        except StreamprocError as error:
            log.warning("what is in flight may be blamed for this end", detail=str(error))


@contextmanager
def stop_on_signals(runtime: Runtime) -> Iterator[None]:
    """SIGTERM and SIGINT drain; a second one ends at once, by the default action."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        runtime.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _state_of(pipeline: Pipeline) -> str:
    if pipeline.held:
        return "holding"
    if not pipeline.loaded:
        return "loading the network again"
    return "waiting for the store" if pipeline.store_down else "working"
