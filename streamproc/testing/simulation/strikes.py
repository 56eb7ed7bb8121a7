"""What each fault does to the process that visits a point. Called in the visiting fiber."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from greenlet import GreenletExit

from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.parts import TimedOut
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.world import BROKER, REGISTRY, SESSION_S, STORE, TIER, World

_SOON_S = 0.5
_ASKED: Mapping[Point, str] = MappingProxyType(
    {
        Point.ADMIT: REGISTRY,
        Point.FETCH: STORE,
        Point.ASSEMBLE: STORE,
        Point.LOOKUP: TIER,
        Point.REMEMBER: TIER,
        Point.POLL: BROKER,
        Point.BEGIN: BROKER,
        Point.PRODUCE: BROKER,
        Point.OFFSETS: BROKER,
        Point.COMMIT: BROKER,
        Point.COMMITTED: BROKER,
        Point.ABORT: BROKER,
    }
)
"""What a point asks; anywhere else any dependency may go away."""


def strike(world: World, process: WorkerProcess, fault: Fault) -> None:
    """Let a fault happen. Raises TimedOut when that is the fault, GreenletExit when the process is no more."""
    _STRIKES[fault.kind](world, process, fault.point)


def _crash(world: World, process: WorkerProcess, _point: Point) -> None:
    world.crash(process)
    raise GreenletExit


def _revoke(world: World, _process: WorkerProcess, _point: Point) -> None:
    world.join()
    _linger(world)


def _stop(world: World, process: WorkerProcess, _point: Point) -> None:
    process.runtime.stop()
    _linger(world)


def _lost(world: World, process: WorkerProcess, _point: Point) -> None:
    if process.source is not None:
        world.broker.evict(process.source.member_id)
    _linger(world)


def _zombie(world: World, process: WorkerProcess, _point: Point) -> None:
    world.freeze(process, world.random.uniform(0.5, 4) * SESSION_S, twin=False)
    world.fibers.switch()


def _twin(world: World, process: WorkerProcess, _point: Point) -> None:
    world.freeze(process, world.random.uniform(0.5, 4) * SESSION_S, twin=True)
    world.fibers.switch()


def _timeout(world: World, _process: WorkerProcess, point: Point) -> None:
    if point is not Point.POLL:
        raise TimedOut
    world.take_down(BROKER, world.random.uniform(0, 0.3))  # a poll has no answer that could be late


def _duplicate(world: World, process: WorkerProcess, _point: Point) -> None:
    source = process.source
    if source is not None:
        for partition in sorted(source.owned):
            source.rewind(partition, world.random.randrange(1, 4))
    world.fibers.switch()


def _reorder(world: World, _process: WorkerProcess, _point: Point) -> None:
    world.fibers.sleep(world.random.uniform(0.05, 0.4))


def _slow(world: World, _process: WorkerProcess, _point: Point) -> None:
    world.fibers.sleep(world.random.uniform(0.5, 3))


def _down(world: World, _process: WorkerProcess, point: Point) -> None:
    what = _ASKED.get(point) or world.random.choice((STORE, TIER, REGISTRY, BROKER))
    world.take_down(what, world.random.uniform(0, 2))
    world.fibers.switch()


def _device_death(world: World, process: WorkerProcess, _point: Point) -> None:
    process.device.die()
    world.fibers.switch()


def _decoder_death(world: World, process: WorkerProcess, _point: Point) -> None:
    process.decoders.die_all()
    world.fibers.switch()


def _broker_restart(world: World, _process: WorkerProcess, _point: Point) -> None:
    world.broker.restart()
    world.take_down(BROKER, world.random.uniform(0, 1))
    world.fibers.switch()


def _linger(world: World) -> None:
    """Stay at the point while what was set going happens."""
    world.fibers.sleep(world.random.uniform(0, _SOON_S))


_STRIKES: Mapping[FaultKind, Callable[[World, WorkerProcess, Point], None]] = MappingProxyType(
    {
        FaultKind.CRASH: _crash,
        FaultKind.REVOKE: _revoke,
        FaultKind.STOP: _stop,
        FaultKind.LOST: _lost,
        FaultKind.ZOMBIE: _zombie,
        FaultKind.TWIN: _twin,
        FaultKind.TIMEOUT: _timeout,
        FaultKind.DUPLICATE: _duplicate,
        FaultKind.REORDER: _reorder,
        FaultKind.SLOW: _slow,
        FaultKind.DOWN: _down,
        FaultKind.DEVICE_DEATH: _device_death,
        FaultKind.DECODER_DEATH: _decoder_death,
        FaultKind.BROKER_RESTART: _broker_restart,
    }
)
