"""What excuses a worker that ended: the broker's own word, and a fault that led to it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from streamproc.errors import Fatal
from streamproc.records.record import TopicPartition
from streamproc.testing.broker.transactions import CHECK_S
from streamproc.testing.simulation.exits import explained
from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.inflict import inflict
from streamproc.testing.simulation.past import Struck
from streamproc.testing.simulation.plan import make_plan
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.world import World
from streamproc.worker.runtime import LEAVE_S


def worlds(retention_at: float | None = None) -> World:
    records = tuple((0.0, announce(number, Kind.PLAIN, 0, b"k", None)) for number in range(3))
    plan = replace(
        make_plan(1),
        delivery="exactly_once",
        workers=1,
        partitions=1,
        announced=records,
        gaps=(),
        faults=(),
        retention_at=retention_at,
    )
    world = World(plan, inflict)
    world.begin()
    return world


@pytest.fixture
def world() -> Iterator[World]:
    """One in which a worker is at work, and nothing went wrong."""
    with closing(worlds()) as world:
        world.fibers.run(1)
        yield world


def hit(world: World, kind: FaultKind, point: Point, lasted_s: float) -> WorkerProcess:
    """Say that something struck the worker, which went on after a while and ended."""
    [process] = world.processes()
    began = world.fibers.now
    world.past.struck.append(Struck(process, Fault(kind, point, 1), began, began + lasted_s))
    process.ended_at = began + lasted_s
    return process


def transactional_id(world: World) -> str:
    return f"{world.settings.kafka.transactional_prefix}-0"


def test_who_was_kept_for_long_is_excused_only_if_the_broker_gave_its_transaction_up(world: World) -> None:
    process, broker = hit(world, FaultKind.SLOW, Point.COMMIT, 3.0), world.servers.broker
    assert not explained(world, process, Fatal.FENCED)
    broker.produce(transactional_id(world), 0, world.settings.topics.results, 0, b"k", b"v")
    world.fibers.run(2 * CHECK_S)
    assert explained(world, process, Fatal.FENCED)


def test_a_transaction_that_was_given_up_and_that_nothing_kept_open_excuses_nobody(world: World) -> None:
    process, broker = hit(world, FaultKind.SLOW, Point.FETCH, 3.0), world.servers.broker
    broker.produce(transactional_id(world), 0, world.settings.topics.results, 0, b"k", b"v")
    world.fibers.run(2 * CHECK_S)
    assert not explained(world, process, Fatal.FENCED)


@pytest.mark.parametrize(("kind", "excused"), [(FaultKind.TWIN, True), (FaultKind.SLOW, False)])
def test_whose_slot_was_taken_is_excused_only_if_a_fault_gave_it_away(
    world: World, kind: FaultKind, *, excused: bool
) -> None:
    process = hit(world, kind, Point.COMMIT, 3.0)
    assert not explained(world, process, Fatal.FENCED)
    world.servers.broker.init_transactions(transactional_id(world), 60)
    assert explained(world, process, Fatal.FENCED) is excused


@pytest.mark.parametrize(("at", "excused"), [(0.001, True), (5.0, False)])
def test_retention_is_an_excuse_only_if_it_took_what_nobody_had_read(at: float, *, excused: bool) -> None:
    with closing(worlds(retention_at=at)) as world:
        world.fibers.run(6)
        [process] = world.processes()
        place = TopicPartition(world.settings.topics.recordings, 0)
        committed = world.servers.broker.committed(world.settings.kafka.group, place)
        assert committed is not None
        assert explained(world, process, Fatal.OFFSET_GONE) is excused


@pytest.mark.parametrize(("polling", "excused"), [(True, True), (False, False)])
def test_who_ends_is_judged_by_its_last_poll_which_may_last(world: World, *, polling: bool, excused: bool) -> None:
    process = hit(world, FaultKind.TIMEOUT, Point.COMMITTED, 0.0)
    assert process.heard is not None
    process.ended_at = world.fibers.now + 2 * world.settings.kafka.transaction_timeout_s + LEAVE_S
    # A poll that lasts keeps it from leaving its group, until it gives that up.
    process.heard.polled_at = world.fibers.now if polling else process.ended_at
    assert explained(world, process, Fatal.FATE_UNKNOWN) is excused


@pytest.mark.parametrize(("deaths", "computed", "excused"), [(3, 0, True), (2, 0, False), (3, 1, False)])
def test_who_gives_its_device_up_is_excused_only_if_that_died_of_all_that_it_had(
    world: World, deaths: int, computed: int, *, excused: bool
) -> None:
    [process] = world.processes()
    process.device.deaths, process.device.computed = deaths, computed
    assert explained(world, process, Fatal.DEVICE_KILLED) is excused
