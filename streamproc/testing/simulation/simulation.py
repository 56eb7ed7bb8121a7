"""One run: a seed in, what was found out."""

import hashlib
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from streamproc.records.record import TopicPartition
from streamproc.settings import Settings
from streamproc.testing.simulation.bounds import check_bounds
from streamproc.testing.simulation.ends import check_end, check_left, quiet
from streamproc.testing.simulation.exits import check_process
from streamproc.testing.simulation.fault import FaultKind, Point
from streamproc.testing.simulation.inflict import inflict
from streamproc.testing.simulation.observer import Observer
from streamproc.testing.simulation.plan import Plan, make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.servers import BROKER, STORE
from streamproc.testing.simulation.telling import tell_outcomes, tell_plan
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import RESTART_S, World
from streamproc.worker.core import canary
from streamproc.worker.core.retry import RetryPolicy
from streamproc.worker.core.strikes import CAREFUL_AFTER, CONDEMNED_AFTER
from streamproc.worker.stages import commit, probe
from streamproc.worker.stages.admit import REGISTRY_WAIT_S
from streamproc.worker.stages.objects import PUT_WAIT_S

BROKEN = "the simulator itself"
"""What the violation of a seed begins with that found nothing out, because the simulator failed."""
_SLICE_S = 0.5
_CHAOS_S = 12.0
"""The longest time in which faults may strike; runs whose records are all done end earlier."""
_PROBE_S = 1.0
"""Far longer than a probe takes where nothing goes wrong."""
_SPOILED = (Kind.FLAKY, Kind.BROKEN, Kind.LATE)
_ALONE_S = 0.5
"""For one record that is taken alone: two commits, and everything between."""
_FRESH = 1_000
"""Number of the first record that is sent after everything was healed."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one seed showed."""

    seed: int
    violation: str | None
    struck: Mapping[tuple[FaultKind, Point], int]
    felt: Mapping[tuple[FaultKind, Point], int]
    """Of what struck, what had an effect."""
    transactions: int
    exits: int
    killed: int
    fresh_s: float
    """Virtual seconds from the heal until every fresh record was done."""
    takeovers: int
    """Partitions of workers that died that others went on with, with nothing else wrong."""
    takeover_s: float
    """The longest that a partition of a worker that died waited for the next one, with nothing else wrong."""
    revoke_s: float
    """The longest that a worker held a revoke up."""
    brakes: int
    """How often brakes went on, as commits showed it."""
    resumed: int
    """Finished segments of a former owner that a next one found."""
    virtual_s: float
    digest: str
    """Of the whole schedule: equal for equal runs."""


def simulate(seed: int, tell: Callable[[float, str], None] | None = None) -> Found:
    """Play one seed; ``tell`` hears its history (virtual seconds, what happened).

    A fault of the simulator itself is what this seed showed: whoever plays many learns which one, and plays the others.
    """
    try:
        return play(make_plan(seed), tell)
    except Exception as error:  # noqa: BLE001  # not swallowed: the seed fails, and says of what
        where = traceback.extract_tb(error.__traceback__)[-1]
        return broken(seed, f"{BROKEN}: {error!r} in {where.name} ({Path(where.filename).name}:{where.lineno})")


def play(plan: Plan, tell: Callable[[float, str], None] | None = None) -> Found:
    """Play one plan."""
    with closing(World(plan, inflict, tell)) as world:
        return _play(world, tell)


def _play(world: World, tell: Callable[[float, str], None] | None) -> Found:
    if tell is not None:
        tell_plan(world)
    observer = Observer(world)
    world.servers.broker.observers.append(observer)
    fresh_s, violation = 0.0, None
    try:
        fresh_s = _live(world, observer)
    except Violation as found:
        violation = str(found)
    if tell is not None:
        tell_outcomes(world)
    return Found(
        seed=world.plan.seed,
        violation=violation,
        struck=Counter((one.fault.kind, one.fault.point) for one in world.past.struck),
        felt=Counter((fault.kind, fault.point) for fault in world.felt),
        transactions=observer.transactions,
        exits=world.exits,
        killed=world.killed,
        fresh_s=fresh_s,
        takeovers=world.takeovers.seen,
        takeover_s=world.takeovers.longest_s,
        revoke_s=world.longest_revoke_s,
        brakes=observer.brakes,
        resumed=world.resumed_segments,
        virtual_s=world.fibers.now,
        digest=_digest(world),
    )


def broken(seed: int, violation: str) -> Found:
    """What is known of a seed that was not played to its end."""
    return Found(
        seed=seed,
        violation=violation,
        struck={},
        felt={},
        transactions=0,
        exits=0,
        killed=0,
        fresh_s=0.0,
        takeovers=0,
        takeover_s=0.0,
        revoke_s=0.0,
        brakes=0,
        resumed=0,
        virtual_s=0.0,
        digest="",
    )


def bound_s(world: World) -> float:
    """How long a fresh record may take after the heal, from the settings (G7), in virtual seconds.

    A worker that dies just before is replaced: its session ends, its transaction is decided, and the new assignment is
    told at the next heartbeats, which make another session; whoever has to give something back first drains. Meanwhile,
    or after it, ends what was being waited for when the world healed. Where recordings kill, they are found out first.
    """
    kafka = world.settings.kafka
    undecided_s = kafka.transaction_timeout_s if kafka.delivery == "exactly_once" else 0.0
    takeover_s = 2 * kafka.session_timeout_s + undecided_s
    held_s = _waits_s(world) + _held_s(world) + _in_place_s(world) + _found_out_s(world, takeover_s)
    return takeover_s + world.settings.flow.drain_s + held_s


def _held_s(world: World) -> float:
    """The longest that a brake holds records back that are well.

    First for a pause that may have grown while there were none, then for a pause and a probe each time that the rest of
    a burst turns it on, and once more for each worker that is killed in between.
    """
    if not world.plan.burst:
        return 0.0
    times = len(world.plan.announced) // world.settings.brake.in_a_row + _deaths(world)
    return (1 + times) * (probe.LONGEST_WAIT_S + _PROBE_S)


def _in_place_s(world: World) -> float:
    """How long what the store fails on holds others up in strict order, one such record after the other."""
    if not world.plan.strict:
        return 0.0
    policy = RetryPolicy(world.settings.topics, world.settings.retry)
    tries = world.settings.retry.attempts_per_lane * len(policy.lanes)
    each_s = sum(policy.wait_s(attempts) or 0.0 for attempts in range(1, tries + 1))
    spoiled = sum(
        world.hurt[announced.object_key] > 0 or announced.kind in _SPOILED for announced in world.upstream.sent.values()
    )
    return spoiled * each_s


def _found_out_s(world: World, takeover_s: float) -> float:
    """How long it takes until the recordings that kill workers are given up: so many die of each, the last ones alone.

    A crash, perhaps one more while the partition has less in flight, and one in which it moved nothing, make the next
    owners take records one by one.
    """
    deaths = _deaths(world)
    alone_s = _ALONE_S * len(world.plan.announced) if deaths else 0.0
    return deaths * (RESTART_S + takeover_s) + alone_s


def _deaths(world: World) -> int:
    """How many workers the recordings that kill may end: one that ends devices, too, when nothing else is computed."""
    killers = sum(one.kind in {Kind.KILLS_WORKER, Kind.KILLS_DEVICE} for _, one in world.plan.announced)
    return killers * (CAREFUL_AFTER + 1 + CONDEMNED_AFTER)


def lanes_s(settings: Settings) -> float:
    """How long a record that failed at every try spends on the lanes."""
    return settings.retry.attempts_per_lane * sum(settings.retry.delays_s)


def _waits_s(world: World) -> float:
    """The longest that anything is waited for that is there again.

    Waits that grow double: the next one is as long as all before it, in which something was away, and the first.
    """
    past, session_s = world.past, world.settings.kafka.session_timeout_s
    probe_s = 2 * canary.FIRST_WAIT_S + past.away_s(STORE)  # the first of them for objects that fail in a row
    again_s = commit.FIRST_WAIT_S + past.away_s(BROKER) + session_s  # the group refuses who has not heard of it yet
    return max(REGISTRY_WAIT_S, PUT_WAIT_S, min(probe_s, canary.LONGEST_WAIT_S), min(again_s, commit.LONGEST_WAIT_S))


def _live(world: World, observer: Observer) -> float:
    """Its course, to the end of all workers; how long fresh records took once it was healed (virtual s)."""
    world.begin()
    while not (world.calm and quiet(world)) and world.fibers.now < _CHAOS_S:
        _go_on(world, observer)
    world.heal()
    world.tell("healed")
    for partition in range(world.plan.partitions):
        world.upstream.announce(announce(_FRESH + partition, Kind.PLAIN, partition, b"k%d-0" % partition, None))
    fresh_s = _recover(world, observer)
    check_end(world)
    _stop(world, observer)
    return fresh_s


def _recover(world: World, observer: Observer) -> float:
    """Go on until everything is done; how long the fresh records took (virtual s)."""
    healed, most_s = world.fibers.now, bound_s(world)
    fresh_s: float | None = None
    while fresh_s is None or not (world.calm and quiet(world)):
        waited_s = world.fibers.now - healed
        if fresh_s is None and _fresh_are_done(world):
            fresh_s = waited_s
        elif fresh_s is None and waited_s > most_s:
            raise Violation("G7", f"fresh records are not done {most_s:g} s after everything was healed")
        elif waited_s > most_s + lanes_s(world.settings):
            raise Violation("G7", f"something is left {waited_s:g} s after everything was healed")
        else:
            _go_on(world, observer)
    return fresh_s


def _fresh_are_done(world: World) -> bool:
    topic, group = world.settings.topics.recordings, world.settings.kafka.group
    for partition, offset in (place for place, announced in world.upstream.sent.items() if announced.number >= _FRESH):
        committed = world.servers.broker.committed(group, TopicPartition(topic, partition))
        if committed is None or committed.offset <= offset:
            return False
    return True


def _go_on(world: World, observer: Observer) -> None:
    world.fibers.run(world.fibers.now + _SLICE_S)
    if observer.violation is not None:
        raise observer.violation
    check_bounds(world)
    world.takeovers.check()
    while world.exits_unseen:
        check_process(world, world.exits_unseen.popleft())
    for process in world.processes():
        if process.failure is not None:
            check_process(world, process)


def _stop(world: World, observer: Observer) -> None:
    world.stop()
    until = world.fibers.now + 2 * world.settings.flow.drain_s
    while world.processes():
        if world.fibers.now > until:
            raise Violation("G7", f"{world.processes()[0].name} does not end")
        _go_on(world, observer)
    check_left(world)


def _digest(world: World) -> str:
    """What the generator would draw next depends on every draw before, and each step of the schedule is one."""
    last = f"{world.fibers.now!r} {world.fibers.switches} {world.random.random()!r}"
    return hashlib.sha256(last.encode()).hexdigest()
