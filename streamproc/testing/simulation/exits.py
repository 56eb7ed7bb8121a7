"""How a process may end: by a decision of its own, for which something that struck it is the reason."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from streamproc.errors import Fatal, FatalError
from streamproc.testing.broker.sink import BrokerSink
from streamproc.testing.broker.transactions import Fence
from streamproc.testing.simulation.fault import FaultKind, Point
from streamproc.testing.simulation.past import Past, Struck
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.servers import BROKER
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World
from streamproc.worker.runtime import TICK_S

_AGAIN_S = 0.2
"""What a call that got no answer is late by, beyond the time in which there was none: the wait before the next try."""
_DEVICES = 3
"""That end, each of one segment, before a worker gives the device up."""
_EVERYWHERE = frozenset(Point)
_OPEN = frozenset({Point.PRODUCE, Point.OFFSETS, Point.COMMIT, Point.ABORT})
"""Points at which a transaction is open."""
_LINGER = frozenset({FaultKind.SLOW, FaultKind.REORDER, FaultKind.REVOKE, FaultKind.STOP, FaultKind.LOST})
"""Faults that keep the thread that they strike for a while."""


class Because(NamedTuple):
    """A fault of the process itself, at one of these points, explains an exit."""

    kinds: frozenset[FaultKind]
    points: frozenset[Point]
    why: str
    for_good: bool = False
    """However long ago: the process finds out at its next commit. Otherwise it finds out at once."""


_TWIN = Because(frozenset({FaultKind.TWIN}), _EVERYWHERE, "its slot is another's", for_good=True)


class Explained(NamedTuple):
    """What explains one way to end, of which one is enough."""

    by: tuple[Because, ...] = ()
    by_fence: bool = False
    """The broker had fenced its producer: of a fault that gave its slot away, or because a transaction stayed open for
    longer than its time-out, for which what kept the process, and no broker, add up."""
    by_outage: bool = False
    """No broker answered shortly before."""
    by_retention: bool = False
    """Records were deleted before the group had read them, or before a client gave them out again."""
    by_device: bool = False
    """Its device ended again and again, of a fault or a recording, and had computed nothing."""


EXPLAINED: Mapping[Fatal, Explained] = MappingProxyType(
    {
        Fatal.FENCED: Explained(by_fence=True),
        Fatal.FATE_UNKNOWN: Explained(
            by=(
                Because(
                    frozenset({FaultKind.TIMEOUT}),
                    frozenset({Point.COMMIT, Point.COMMITTED, Point.ABORT}),
                    "the end of its transaction got no answer",
                ),
            ),
            by_outage=True,
        ),
        Fatal.OFFSET_GONE: Explained(by_retention=True),
        Fatal.DEVICE_KILLED: Explained(by_device=True),
    }
)
"""Nothing that the simulator does explains any other way to end."""


def check_process(world: World, process: WorkerProcess) -> None:
    """Check how a process ended: asked to or for a reason, and with nothing left in its hands."""
    error = process.error or process.failure
    if error is None:
        if not process.asked:
            raise Violation("G7", f"{process.name} ended, and nobody asked it to")
        leased = process.arena.slots - process.arena.free
        if leased != process.device.holds:  # what the device has not answered may be of records that were lost
            raise Violation(
                "G6", f"{process.name} ended with {leased} slots leased, {process.device.holds} on the device"
            )
    elif not isinstance(error, FatalError) or error.cause is Fatal.UNFORESEEN:
        raise Violation("G1", f"{process.name} crashed: {error!r}") from error
    elif not explained(world, process, error.cause):
        raise Violation("G7", f"{process.name} ended ({error.cause}), and nothing that struck explains it: {error}")


def explained(world: World, process: WorkerProcess, cause: Fatal) -> bool:
    """Whether something that struck before explains that a process ended in this way."""
    known = EXPLAINED.get(cause)
    if known is None:
        return False
    # A try of a transaction and its abort may each use up the time-out; what kept the process comes on top.
    timeout_s = world.settings.kafka.transaction_timeout_s
    struck, past = world.past.of(process), world.past
    kept_s = sum(one.lasted_s(process.ended_at) for one in struck) + process.frozen_s
    after = process.decided_at - 2 * timeout_s - TICK_S - kept_s
    return (
        any(_explains(because, one, after) for because in known.by for one in struck)
        or (known.by_fence and _fenced(world, process, struck, after))
        or (known.by_outage and any(one.what == BROKER and one.until >= after for one in past.outages))
        or (known.by_retention and _retained(world, struck))
        or (known.by_device and process.device.deaths >= _DEVICES and not process.device.computed)
    )


def _retained(world: World, struck: Iterable[Struck]) -> bool:
    """Whether retention took what a process was still to read, or to read again."""
    again = any(one.fault.kind is FaultKind.DUPLICATE for one in struck)
    return world.upstream.deleted or (world.upstream.trimmed and again)


def _fenced(world: World, process: WorkerProcess, struck: Iterable[Struck], after: float) -> bool:
    """Whether the broker fenced a process, for a reason."""
    match process.sink.fence if isinstance(process.sink, BrokerSink) else None:
        case Fence.NEWER:
            return any(_explains(_TWIN, one, after) for one in struck)
        case Fence.OVERDUE:
            timeout_s = world.settings.kafka.transaction_timeout_s
            return _delayed_s(world.past, process, struck, after) >= timeout_s
        case _:
            return False


def _explains(because: Because, struck: Struck, after: float) -> bool:
    late = not because.for_good and struck.until < after
    return not late and struck.fault.kind in because.kinds and struck.fault.point in because.points


def _delayed_s(past: Past, process: WorkerProcess, struck: Iterable[Struck], after: float) -> float:
    """For how long a transaction of a process can have been kept open by what happened after a moment (s)."""
    ended = process.ended_at
    kept = [one.lasted_s(ended) for one in struck if one.fault.kind in _LINGER and one.fault.point in _OPEN]
    away = [one.until - one.since + _AGAIN_S for one in past.outages if one.what == BROKER and one.until >= after]
    timeouts = [_AGAIN_S for one in struck if one.fault.kind is FaultKind.TIMEOUT and one.fault.point in _OPEN]
    return sum((*kept, *away, *timeouts)) + process.frozen_s
