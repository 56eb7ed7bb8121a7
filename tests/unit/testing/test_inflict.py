from contextlib import closing
from dataclasses import replace

import pytest

from streamproc.settings import takeover_s
from streamproc.testing.broker.transactions import CHECK_S
from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.inflict import inflict
from streamproc.testing.simulation.plan import Plan, make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.simulation import Found, play, simulate
from streamproc.testing.simulation.world import World


def plan(*faults: Fault, workers: int = 1) -> Plan:
    records = tuple((0.0, announce(number, Kind.PLAIN, 0, b"k", None)) for number in range(3))
    return replace(
        make_plan(1),
        protocol="consumer",
        delivery="exactly_once",
        workers=workers,
        partitions=1,
        shared_tier=True,
        tight=False,
        trust="content",
        archive=False,
        announced=records,
        gaps=(),
        faults=faults,
        alone=False,
        retention_at=None,
    )


def felt(kind: FaultKind, point: Point, visit: int) -> bool:
    found: Found = play(plan(Fault(kind, point, visit)))
    assert found.violation is None
    assert found.struck[kind, point] == 1
    return found.felt.get((kind, point), 0) == 1


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        (FaultKind.DEVICE_DEATH, Point.INFER),
        (FaultKind.DECODER_DEATH, Point.PREPARE),
        (FaultKind.TIMEOUT, Point.ASSIGN),
        (FaultKind.LOST, Point.FETCH),
        (FaultKind.DUPLICATE, Point.COMMIT),
        (FaultKind.REVOKE, Point.FETCH),
        (FaultKind.DOWN, Point.FETCH),
        (FaultKind.TWIN, Point.FETCH),
        (FaultKind.BROKER_RESTART, Point.FETCH),
        (FaultKind.STOP, Point.FETCH),
    ],
)
def test_a_fault_where_there_is_something_to_hit_has_an_effect(kind: FaultKind, point: Point) -> None:
    assert felt(kind, point, 1)


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_that_hits_nothing_has_none(kind: FaultKind) -> None:
    # At its first poll a worker has nothing and has taken nothing.
    assert not felt(kind, Point.POLL, 1)


@pytest.mark.parametrize("kind", [FaultKind.CRASH, FaultKind.STOP, FaultKind.SLOW, FaultKind.REORDER, FaultKind.DOWN])
def test_a_fault_waits_for_the_poll_of_a_worker_that_has_something(kind: FaultKind) -> None:
    found = play(plan(Fault(kind, Point.POLL, 1, waits=True)))
    assert found.violation is None
    assert found.felt[kind, Point.POLL] == 1


def test_who_dies_while_it_gives_back_is_missed_until_its_session_ends() -> None:
    leaves = plan(Fault(FaultKind.STOP, Point.FETCH, 1), Fault(FaultKind.CRASH, Point.REVOKE, 2))
    found = play(leaves)
    assert found.violation is None
    assert found.felt[FaultKind.CRASH, Point.REVOKE] == 1


def test_a_tier_that_nobody_asks_is_not_missed() -> None:
    found = play(plan(Fault(FaultKind.DOWN, Point.LOOKUP, 1)))
    assert found.felt == found.struck == {(FaultKind.DOWN, Point.LOOKUP): 1}


def test_a_fault_can_wait_for_something_to_hit() -> None:
    found = play(plan(Fault(FaultKind.DEVICE_DEATH, Point.POLL, 1, waits=True), Fault(FaultKind.SLOW, Point.INFER, 1)))
    assert found.felt[FaultKind.DEVICE_DEATH, Point.POLL] == 1


def test_a_fault_that_never_came_to_strike_counts_for_nothing() -> None:
    found = play(plan(Fault(FaultKind.CRASH, Point.FETCH, 1000)))
    assert found.felt == found.struck == {}


def test_a_transaction_that_no_successor_decides_is_taken_over_when_the_broker_gives_it_up() -> None:
    died = plan(Fault(FaultKind.CRASH, Point.COMMIT, 1), workers=2)
    again, alone = play(died), play(replace(died, alone=True))
    assert again.violation is alone.violation is None
    assert again.takeovers == alone.takeovers == 1
    assert again.takeover_s < CHECK_S - 1 < alone.takeover_s < takeover_s(World(died, inflict).settings)


def test_who_was_killed_alone_is_started_again() -> None:
    died = replace(plan(Fault(FaultKind.CRASH, Point.COMMIT, 1)), alone=True)
    assert play(died).violation is None


def test_who_was_taken_for_dead_and_dies_leaves_its_slot_to_its_newer_process() -> None:
    world = World(replace(plan(workers=2), alone=True), inflict)
    with closing(world):
        twin, other = world.start(0), world.start(1)
        world.freeze(twin, 1.0, Fault(FaultKind.TWIN, Point.POLL, 1))
        world.fibers.run(0.5)
        newer = next(one for one in world.processes() if one not in {twin, other})
        for dies in (other, twin, newer):
            world.crash(dies)
        world.fibers.run(1.0)
        assert [one.slot for one in world.processes()] == [0]


def test_some_runs_spend_the_whole_budget_of_a_revoke() -> None:
    held = [seed for seed in range(1_000) if any(fault.long for fault in make_plan(seed).faults)]
    found = [simulate(seed) for seed in held]
    assert all(one.violation is None for one in found)
    assert sum(one.revoke_s > World(make_plan(0), inflict).settings.flow.drain_s for one in found) > 2
