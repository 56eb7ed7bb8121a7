"""What may be left when the workers of a simulated world have ended, and who has to have ended by then."""

from dataclasses import replace
from typing import Literal

import pytest

from streamproc.testing.simulation.ends import check_left
from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.inflict import inflict
from streamproc.testing.simulation.plan import make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World

FAILED = (
    ("sp-origin-partition", b"0"),
    ("sp-origin-offset", b"7"),
    ("sp-attempts", b"1"),
    ("sp-reason", b"store_unavailable"),
)


def worlds(delivery: Literal["exactly_once", "at_least_once"]) -> World:
    """Somebody's, before anybody has begun."""
    plan = replace(
        make_plan(0),
        workers=1,
        partitions=1,
        announced=((0.0, announce(0, Kind.PLAIN, 0, b"k", None)),),
        gaps=(),
        faults=(),
        delivery=delivery,
        retention_at=None,
    )
    return World(plan, inflict)


def on_a_lane(world: World) -> World:
    """With a record on its first lane that nobody has taken from there."""
    world.servers.broker.append(world.settings.topics.lanes[0], 0, b"k", b"v", headers=FAILED)
    return world


def finished(world: World) -> World:
    """With an outcome of that record."""
    world.servers.broker.append(world.settings.topics.dead_letters, 0, b"k", b"v", headers=FAILED)
    return world


def test_a_repeat_of_what_is_finished_may_be_left_at_least_once() -> None:
    check_left(finished(on_a_lane(worlds("at_least_once"))))


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(finished(on_a_lane(worlds("exactly_once"))), id="exactly-once"),
        pytest.param(on_a_lane(worlds("at_least_once")), id="unfinished"),
    ],
)
def test_nothing_else_may_be_left_on_a_lane(world: World) -> None:
    with pytest.raises(Violation, match=rf"{world.settings.topics.lanes[0]}/0 offset 0 was left"):
        check_left(world)


def test_no_announcement_may_be_left_at_least_once_either() -> None:
    world = finished(worlds("at_least_once"))
    world.servers.broker.append(world.settings.topics.recordings, 0, b"k", b"v")
    with pytest.raises(Violation, match=rf"{world.settings.topics.recordings}/0 offset 0 was left"):
        check_left(world)


def test_who_was_taken_for_dead_and_goes_on_ends_with_the_others() -> None:
    world = worlds("at_least_once")  # exactly once it is fenced, and ends before
    world.begin()
    world.fibers.run(2)
    [twin] = world.processes()
    world.freeze(twin, 1, Fault(FaultKind.TWIN, Point.POLL, 1))
    world.fibers.run(5)
    assert len(world.processes()) == 2
    world.stop()
    world.fibers.run(8)
    assert world.processes() == []
    assert twin.finished
    assert twin.error is None
