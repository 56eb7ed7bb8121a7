"""What each fault does to the process that visits a point. Called in the visiting fiber."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from greenlet import GreenletExit

from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.parts import TimedOut
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.servers import BROKER, REGISTRY, STORE, TIER
from streamproc.testing.simulation.spans import SESSION_S
from streamproc.testing.simulation.world import World

_SOON_S = 0.5
_SLOW_S = (0.5, 3.0)
_LONG_S = (2.5, 5.0)
"""Beyond the budget of a revoke."""
_ASKED: Mapping[Point, str] = MappingProxyType(
    {
        Point.ADMIT: REGISTRY,
        Point.FETCH: STORE,
        Point.ASSEMBLE: STORE,
        Point.LOOKUP: TIER,
        Point.REMEMBER: TIER,
        Point.POLL: BROKER,
        Point.ASSIGN: BROKER,
        Point.BEGIN: BROKER,
        Point.PRODUCE: BROKER,
        Point.OFFSETS: BROKER,
        Point.COMMIT: BROKER,
        Point.COMMITTED: BROKER,
        Point.ABORT: BROKER,
    }
)
"""What a point asks; anywhere else any dependency may go away."""


def inflict(world: World, process: WorkerProcess, fault: Fault) -> None:
    """Let a fault happen, and note in ``world.felt`` whether it had an effect, as soon as that is known.

    Raises TimedOut when that is the fault, GreenletExit when the process is no more.
    """
    _WAYS[fault.kind](world, process, fault)


def _felt(world: World, fault: Fault, effect: object) -> None:
    if effect:
        world.felt.add(fault)


def _crash(world: World, process: WorkerProcess, fault: Fault) -> None:
    _felt(world, fault, world.at_stake(process, fault.point))
    world.crash(process)
    raise GreenletExit


def _revoke(world: World, process: WorkerProcess, fault: Fault) -> None:
    world.join(process, fault)
    _linger(world)


def _stop(world: World, process: WorkerProcess, fault: Fault) -> None:
    _felt(world, fault, process.runtime.state != "draining" and world.at_stake(process, fault.point))
    process.stop()
    _linger(world)


def _lost(world: World, process: WorkerProcess, fault: Fault) -> None:
    _felt(world, fault, world.has_something(process, fault.point))
    if process.source is not None:
        world.servers.broker.evict(process.source.member_id)
    _linger(world)


def _freeze(world: World, process: WorkerProcess, fault: Fault) -> None:
    world.freeze(process, world.random.uniform(0.5, 4) * SESSION_S, fault)
    world.fibers.switch()


def _timeout(world: World, process: WorkerProcess, fault: Fault) -> None:
    if fault.point is Point.POLL:
        # A poll has no answer that could be late. This one finds the broker away, and misses something if it has any.
        _felt(world, fault, world.has_something(process, fault.point))
        world.take_down(BROKER, world.random.uniform(0, 0.3), None)
    else:
        world.felt.add(fault)
        raise TimedOut


def _duplicate(world: World, process: WorkerProcess, fault: Fault) -> None:
    source = process.source
    if source is not None:
        for partition in sorted(source.owned):
            source.rewind(partition, world.random.randrange(1, 4), lambda: world.felt.add(fault))
    world.fibers.switch()


def _reorder(world: World, process: WorkerProcess, fault: Fault) -> None:
    _felt(world, fault, world.at_stake(process, fault.point))
    world.fibers.sleep(world.random.uniform(0.05, 0.4))


def _slow(world: World, process: WorkerProcess, fault: Fault) -> None:
    _felt(world, fault, world.at_stake(process, fault.point))
    world.fibers.sleep(world.random.uniform(*(_LONG_S if fault.long else _SLOW_S)))


def _down(world: World, process: WorkerProcess, fault: Fault) -> None:
    what = _ASKED.get(fault.point) or world.random.choice((STORE, TIER, REGISTRY, BROKER))
    world.take_down(what, world.random.uniform(0, 2), fault if world.at_stake(process, fault.point) else None)
    world.fibers.switch()


def _device_death(world: World, process: WorkerProcess, fault: Fault) -> None:
    _felt(world, fault, process.device.holds)
    process.device.die()
    world.fibers.switch()


def _decoder_death(world: World, process: WorkerProcess, fault: Fault) -> None:
    _felt(world, fault, process.decoders.running)
    process.decoders.die_all()
    world.fibers.switch()


def _broker_restart(world: World, process: WorkerProcess, fault: Fault) -> None:
    world.servers.broker.restart()
    world.take_down(BROKER, world.random.uniform(0, 1), fault if world.at_stake(process, fault.point) else None)
    world.fibers.switch()


def _linger(world: World) -> None:
    """Stay at the point while what was set going happens."""
    world.fibers.sleep(world.random.uniform(0, _SOON_S))


_WAYS: Mapping[FaultKind, Callable[[World, WorkerProcess, Fault], None]] = MappingProxyType(
    {
        FaultKind.CRASH: _crash,
        FaultKind.REVOKE: _revoke,
        FaultKind.STOP: _stop,
        FaultKind.LOST: _lost,
        FaultKind.ZOMBIE: _freeze,
        FaultKind.TWIN: _freeze,
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
