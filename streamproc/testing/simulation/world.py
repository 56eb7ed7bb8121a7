"""The simulated world: its servers, its upstream, its supervisor, and the faults that strike it."""

import json
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from math import inf
from random import Random

from streamproc.errors import Fatal, FatalError
from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.telemetry.clock import Clock
from streamproc.testing.broker.errors import BrokerUnavailable, RefusedError
from streamproc.testing.broker.values import GroupMetadata
from streamproc.testing.decoders import waveform
from streamproc.testing.fibers import FiberClock, Fibers
from streamproc.testing.simulation.blame import Blame
from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.limits import limits
from streamproc.testing.simulation.nature import Nature
from streamproc.testing.simulation.past import Outage, Past, Struck
from streamproc.testing.simulation.plan import Plan
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.recordings import Kind
from streamproc.testing.simulation.servers import Servers
from streamproc.testing.simulation.spans import settings_for
from streamproc.testing.simulation.takeover import Takeovers
from streamproc.testing.simulation.upstream import Upstream

EPOCH_MS = 1_800_000_000_000
RESTART_S = 0.2
"""How long the supervisor takes to start a process that ended."""
_AGAIN_S = 0.2


class World:
    """Everything around the workers. Satisfies ``process.Shared``."""

    def __init__(
        self,
        plan: Plan,
        inflict: Callable[["World", WorkerProcess, Fault], None],
        tell: Callable[[float, str], None] | None = None,
    ) -> None:
        self.plan = plan
        self.random = Random(plan.seed)  # noqa: S311  # a schedule that can be played again, not a secret
        self.fibers = Fibers(self.random)
        self.clock: Clock = FiberClock(self.fibers, EPOCH_MS)
        self.settings = settings_for(
            plan.protocol,
            plan.delivery,
            plan.micro_batch_records,
            plan.partitions,
            tight=plan.tight,
            burst=plan.burst,
            strict=plan.strict,
            trust=plan.trust,
            archive=plan.archive,
        )
        self.limits = limits(self.settings, (announced for _, announced in plan.announced))
        self.servers = Servers(self.settings, self.clock, shared_tier=plan.shared_tier)
        self.nature = Nature(self.fibers)
        self.upstream = Upstream(plan, self.settings, self.servers, self.nature, self.clock, self.random, self.tell)
        self.hurt: Counter[str] = Counter()
        self.blame = Blame()
        kills_device = [one.body for _, one in plan.announced if one.body and one.kind is Kind.KILLS_DEVICE]
        self.deadly = frozenset(waveform(body, 0, json.loads(body)["ms"]).tobytes() for body in kills_device)
        self.exits = 0
        """Processes that ended by themselves."""
        self.exits_unseen: deque[WorkerProcess] = deque()
        """Of them, those that the checks have not looked at."""
        self.killed = 0
        self.past = Past()
        """When what struck whom."""
        self.takeovers = Takeovers(self.settings, self.servers.broker, self.past, self.clock.monotonic)
        self.servers.broker.observers.append(self.takeovers)
        self.resumed_segments = 0
        """Finished segments of a former owner that others found."""
        self.longest_revoke_s = 0.0
        """The longest that a worker held a revoke up, as the checks have seen it."""
        self.felt: set[Fault] = set()
        """Of the faults that struck, those that had an effect."""
        self._inflict = inflict
        self._tell = tell
        self._running: dict[int, WorkerProcess] = {}
        self._superseded: list[WorkerProcess] = []
        """Those that live although another was started for their slot."""
        self._left_out: set[int] = set()
        """Slots whose process was killed and is not to be started again yet."""
        self._wanted = plan.workers
        self._numbers: Counter[int] = Counter()
        self._visits: Counter[Point] = Counter()
        self._armed = {(fault.point, fault.visit): fault for fault in plan.faults}
        self._waiting: dict[Point, Fault] = {}
        """Faults that came to their visit and found nothing to hit."""
        self._frozen: dict[WorkerProcess, tuple[Fault | None, frozenset[TopicPartition]]] = {}
        """Those that stand still, what stopped them, if something was at stake, and what they had then."""
        self._joiners: dict[WorkerProcess, tuple[Fault, frozenset[TopicPartition]]] = {}
        """Those that joined because of a fault, and what the process had that it struck."""
        self._maintained = False

    # --- its course --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start upstream and the workers."""
        self.upstream.begin()
        for slot in range(self._wanted):
            self.start(slot)

    def close(self) -> None:
        """End what still runs: a fiber that is just dropped is never unwound, and keeps the memory of its worker."""
        for process in self.processes():
            process.kill()
        self.nature.close()

    @property
    def calm(self) -> bool:
        """Whether upstream has sent everything and every fault that struck is over."""
        return self.nature.calm

    def heal(self) -> None:
        """Disarm what has not struck, and let everything be well."""
        self._armed.clear()
        self._waiting.clear()
        for process in list(self._frozen):
            self._thaw(process)
        self.servers.heal()
        self.past.heal(self.fibers.now)
        left_out, self._left_out = self._left_out, set()
        for slot in left_out:
            self._restart(slot)

    def start(self, slot: int) -> WorkerProcess:
        """Start a process for a slot."""
        number = self._numbers[slot]
        self._numbers[slot] += 1
        process = WorkerProcess(self, slot, number, self._process_ended)
        self._running[slot] = process
        self.tell(f"{process.name} starts")
        return process

    def stop(self) -> None:
        """Ask every worker to end, for good."""
        self._wanted = 0
        for process in self.processes():
            process.stop()

    def processes(self) -> list[WorkerProcess]:
        """Those that live, and those too that their supervisor took for dead."""
        return [*self._running.values(), *self._superseded]

    def owned(self, process: WorkerProcess) -> frozenset[TopicPartition]:
        """What is a process's, as the coordinator knows it."""
        return frozenset() if process.source is None else self.servers.owned(process.source.member_id)

    def has_something(self, process: WorkerProcess, point: Point) -> bool:
        """Whether a process has partitions that it was told of, or is being told of at this point."""
        told = process.source is not None and (point is Point.ASSIGN or bool(process.source.owned))
        return told and bool(self.owned(process))

    def at_stake(self, process: WorkerProcess, point: Point) -> bool:
        """Whether anything hangs on what a process does at a point: a poll, of one that has nothing yet, is in vain."""
        match point:
            case Point.POLL | Point.ASSIGN:
                return self.has_something(process, point)
            case Point.REVOKE:
                return bool(self.owned(process))  # what it gives back is nobody else's before it has
            case _:
                return True

    def tell(self, what: str) -> None:
        """Add to the history, when somebody listens."""
        if self._tell is not None:
            self._tell(self.fibers.now, what)

    # --- for the processes -------------------------------------------------------------------------------------------

    def resumed(self, process: WorkerProcess, segments: int) -> None:
        """Note how many finished segments of a former owner were found."""
        self.resumed_segments += segments
        if segments:
            self.tell(f"{process.name} finds {segments} finished segments")

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
            if not (self.plan.burst or self.plan.strict):  # there whoever takes over may wait with what it has
                self.takeovers.struck(process, fault)
            struck = Struck(process, fault, self.fibers.now, until=inf)
            self.past.struck.append(struck)
            try:
                self._inflict(self, process, fault)
            finally:
                struck.until = self.fibers.now

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
                return self.at_stake(process, fault.point)

    # --- what happens ------------------------------------------------------------------------------------------------

    def die(self, process: WorkerProcess) -> None:
        """Let a recording kill a process: nobody that it had is to be blamed for that but the recording."""
        self.tell(f"{process.name} is killed by a recording")
        self.blame.ended(process.name)
        self.takeovers.forget()
        self.crash(process)

    def crash(self, process: WorkerProcess) -> None:
        """Kill a process; its supervisor starts another, unless the plan leaves its work to those that live."""
        self.killed += 1
        process.kill()
        superseded = self._running.get(process.slot) is not process
        others = any(not (other is process or other.frozen) for other in self._running.values())
        if self.plan.alone and others and not superseded:  # else nobody has its slot when its newer process dies
            self._left_out.add(process.slot)
        self._replace(process)

    def _process_ended(self, process: WorkerProcess) -> None:
        self.exits += 1
        if process.error is not None:
            self.blame.ended(process.name)
        self.exits_unseen.append(process)
        self.tell(f"{process.name} ended {'well' if process.error is None else f'by {process.error!r}'}")
        if self.upstream.deleted and isinstance(process.error, FatalError) and process.error.cause is Fatal.OFFSET_GONE:
            self._accept_loss()
        self._replace(process)

    def _replace(self, process: WorkerProcess) -> None:
        """Start a process again, as a supervisor does, unless its slot has a newer one."""
        if process in self._superseded:
            self._superseded.remove(process)
        if self._running.get(process.slot) is process:
            del self._running[process.slot]
            if process.slot < self._wanted and process.slot not in self._left_out:
                self.nature.later(RESTART_S, partial(self._restart, process.slot))

    def _restart(self, slot: int) -> None:
        if slot < self._wanted and slot not in self._running and not self._maintained:
            self.start(slot)

    def join(self, process: WorkerProcess, fault: Fault) -> None:
        """Start one worker more; it is felt when that one gets something of what a process has."""
        slot = self._wanted
        self._wanted += 1
        had = self.owned(process)
        joiner = self.start(slot)
        if self.at_stake(process, fault.point):
            self._joiners[joiner] = fault, had

    def freeze(self, process: WorkerProcess, seconds: float, fault: Fault) -> None:
        """Stop a process for a while; with a twin its supervisor takes it for dead and starts another.

        A twin is felt when its slot is another's by the time it goes on, a zombie when something is that it had.
        """
        self._frozen[process] = fault if self.at_stake(process, fault.point) else None, self.owned(process)
        process.freeze()
        alone = self._running.get(process.slot) is process
        if fault.kind is FaultKind.TWIN and alone:
            del self._running[process.slot]
            self._superseded.append(process)
            self.nature.later(RESTART_S, partial(self._restart, process.slot))
        self.nature.later(seconds, partial(self._thaw, process))

    def _thaw(self, process: WorkerProcess) -> None:
        if process in self._frozen:
            fault, had = self._frozen.pop(process)
            superseded = self._running.get(process.slot, process) is not process
            if fault is not None and (superseded if fault.kind is FaultKind.TWIN else had - self.owned(process)):
                self.felt.add(fault)
            self.tell(f"{process.name} goes on")
            process.thaw(self.fibers)

    def take_down(self, what: str, seconds: float, fault: Fault | None) -> None:
        """Let a dependency go away for a while; a fault is felt when somebody asks it meanwhile."""
        self.servers.go_away(what)
        self.past.outages.append(Outage(what, self.fibers.now, self.fibers.now + seconds))
        before = self.servers.refused(what)

        def up() -> None:
            if fault is not None and self.servers.refused(what) > before:
                self.felt.add(fault)
            self.servers.come_back(what)

        self.nature.later(seconds, up)

    def _accept_loss(self) -> None:
        """Do what the error says: end the group, commit an offset for it, start it again behind the hole."""
        if not self._maintained:
            self._maintained = True
            for process in self.processes():
                process.stop()
            self.nature.later(_AGAIN_S, self._maintain)

    def _maintain(self) -> None:
        topic, group = self.settings.topics.recordings, self.settings.kafka.group
        behind = []
        for number in range(self.plan.partitions):
            committed = self.servers.broker.committed(group, TopicPartition(topic, number))
            first = self.servers.broker.log(TopicPartition(topic, number)).start
            if first and (committed is None or committed.offset < first):
                behind.append(CommitOffset(topic, number, first))
        try:
            if behind:
                self.servers.broker.commit_offsets(GroupMetadata(group, "", -1), behind)
        except (RefusedError, BrokerUnavailable):
            self.nature.later(_AGAIN_S, self._maintain)  # somebody is in the group still
            return
        self._maintained = False
        for slot in range(self._wanted):
            self._restart(slot)
