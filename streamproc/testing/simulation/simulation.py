"""One run: a seed in, what was found out."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamproc.settings import takeover_s
from streamproc.testing.simulation.bounds import check_bounds
from streamproc.testing.simulation.ends import check_end, quiet
from streamproc.testing.simulation.exits import check_process
from streamproc.testing.simulation.fault import FaultKind, Point
from streamproc.testing.simulation.observer import Observer
from streamproc.testing.simulation.plan import Plan, make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.strikes import strike
from streamproc.testing.simulation.telling import tell_outcomes
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World

_SLICE_S = 0.5
_CHAOS_S = 12.0
"""The longest time in which faults may strike; runs whose records are all done end earlier."""
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
    virtual_s: float
    digest: str
    """Of the whole schedule: equal for equal runs."""


def simulate(seed: int, tell: Callable[[float, str], None] | None = None) -> Found:
    """Play one seed; ``tell`` hears its history (virtual seconds, what happened)."""
    return play(make_plan(seed), tell)


def play(plan: Plan, tell: Callable[[float, str], None] | None = None) -> Found:
    """Play one plan."""
    world = World(plan, strike, tell)
    observer = Observer(world)
    world.broker.observers.append(observer)
    fresh_s, violation = 0.0, None
    try:
        fresh_s = _play(world, observer)
    except Violation as found:
        violation = str(found)
    if tell is not None:
        tell_outcomes(world)
    return Found(
        seed=plan.seed,
        violation=violation,
        struck=Counter((fault.kind, fault.point) for fault in world.struck),
        felt=Counter((fault.kind, fault.point) for fault in world.felt),
        transactions=observer.transactions,
        exits=world.exits,
        killed=world.killed,
        fresh_s=fresh_s,
        virtual_s=world.fibers.now,
        digest=_digest(world),
    )


def bound_s(world: World) -> float:
    """How long a fresh record may take after the heal, from the settings (G7), in virtual seconds.

    A takeover, a drain, and what was being waited for when the world healed: the store's
    next probe, the next try of a transaction, both lanes.
    """
    settings = world.settings
    lanes = settings.retry.attempts_per_lane * sum(settings.retry.delays_s)
    return takeover_s(settings) + settings.flow.drain_s + _WAITS_S + lanes


_WAITS_S = 10.0
"""A probe after an outage of 2 s comes within 4 s of it, a transaction's next try within 5 s."""


def _play(world: World, observer: Observer) -> float:
    world.begin()
    while not (world.calm and quiet(world)) and world.fibers.now < _CHAOS_S:
        _go_on(world, observer)
    world.heal()
    world.tell("healed")
    for partition in range(world.plan.partitions):
        world.announce(announce(_FRESH + partition, Kind.PLAIN, partition, b"k%d-0" % partition, None))
    healed, most = world.fibers.now, bound_s(world)
    while not (world.calm and quiet(world)):
        if world.fibers.now - healed > most:
            raise Violation("G7", f"fresh records are not done {most:g} s after everything was healed")
        _go_on(world, observer)
    fresh_s = world.fibers.now - healed
    check_end(world)
    _stop(world, observer)
    return fresh_s


def _go_on(world: World, observer: Observer) -> None:
    world.fibers.run(world.fibers.now + _SLICE_S)
    if observer.violation is not None:
        raise observer.violation
    check_bounds(world)
    struck = bool(world.struck) or world.deleted
    while world.exits_unseen:
        check_process(world.exits_unseen.popleft(), struck=struck)
    for process in world.processes():
        if process.failure is not None:
            check_process(process, struck=struck)


def _stop(world: World, observer: Observer) -> None:
    world.stop()
    until = world.fibers.now + 2 * world.settings.flow.drain_s
    while world.processes():
        if world.fibers.now > until:
            raise Violation("G7", f"{world.processes()[0].name} does not end")
        _go_on(world, observer)
    if not quiet(world):
        raise Violation("G1", "something was left when the workers had ended")


def _digest(world: World) -> str:
    """What the generator would draw next depends on every draw before, and each step of the schedule is one."""
    last = f"{world.fibers.now!r} {world.fibers.switches} {world.random.random()!r}"
    return hashlib.sha256(last.encode()).hexdigest()
