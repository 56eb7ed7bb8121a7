"""What is there when all is quiet: one end of every record, the right one, in order."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from streamproc.errors import Reason
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import Record, TopicPartition
from streamproc.testing.simulation.order import check_order
from streamproc.testing.simulation.reading import End, Origin, Reader, origin_of
from streamproc.testing.simulation.recordings import Announced, Kind
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World
from streamproc.testing.simulation.written import (
    check_failure,
    check_result,
    check_segments,
    most_attempts,
    tries_of_decoders,
)

_LEAST_TRIES = 2
"""Of one that ends its decoders."""


def quiet(world: World) -> bool:
    """Whether the group has read everything there is, and no transaction keeps readers from it."""
    if any(log.last_stable < log.end for log in world.servers.logs()):
        return False
    for place in world.servers.inputs():
        records = world.servers.broker.read(*place)
        committed = world.servers.broker.committed(world.settings.kafka.group, place)
        if records and (committed is None or committed.offset <= records[-1].offset):
            return False
    return True


def check_left(world: World) -> None:
    """Check what is left when the workers have ended: nothing.

    At least once, a worker that had lost its place sends a record to its lane again that whoever had it has finished,
    and who would try it may have ended by then.
    """
    if quiet(world):
        return
    finished: set[Origin] = set()
    if world.plan.delivery == "at_least_once":
        finished = {end.origin for end in all_ends(world) if end.kind is not OutcomeKind.RETRY}
    lanes = world.settings.topics.lanes
    for record in _unread(world):
        if record.topic not in lanes or origin_of(dict(record.headers)) not in finished:
            where = f"{record.source} offset {record.offset}"
            raise Violation("G1", f"{where} was left when the workers had ended")
    if any(log.last_stable < log.end for log in world.servers.logs()):
        raise Violation("G1", "a transaction was left open when the workers had ended")


def _unread(world: World) -> Iterator[Record]:
    for place in world.servers.inputs():
        committed = world.servers.broker.committed(world.settings.kafka.group, place)
        following = 0 if committed is None else committed.offset
        yield from (record for record in world.servers.broker.read(*place) if record.offset >= following)


def check_end(world: World) -> None:
    """Check what is left when all is quiet."""
    reader = Reader(world.settings.topics)
    finals: defaultdict[Origin, list[End]] = defaultdict(list)
    for stored in outputs(world):
        end = reader.end(stored)
        if end is None:
            continue
        announced = world.upstream.sent.get((end.origin.partition, end.origin.offset))
        if announced is None:
            raise Violation("G3", f"{stored.topic} has something of {end.origin}, where nobody announced anything")
        if end.kind is OutcomeKind.RESULT:
            check_result(world, end.origin, announced, stored)
        else:
            check_failure(world, announced, stored, end)
        if end.kind is not OutcomeKind.RETRY:
            finals[end.origin].append(end)
    for place, announced in world.upstream.sent.items():
        _complete(world, announced, Origin(*place), finals[Origin(*place)])
    with_results = [
        world.upstream.sent[origin.partition, origin.offset]
        for origin, ends in finals.items()
        if any(end.kind is OutcomeKind.RESULT for end in ends)
    ]
    check_segments(world, with_results, world.servers.written(world.settings.topics.segments))
    check_order(world)


def all_ends(world: World) -> list[End]:
    """Every outcome that a ``read_committed`` reader sees."""
    return Reader(world.settings.topics).ends(outputs(world))


def outputs(world: World) -> list[Record]:
    """Every outcome as it lies in its topic, in the order of the logs."""
    topics = world.settings.topics
    return [
        stored
        for name in (topics.results, topics.dead_letters, *topics.lanes)
        for stored in world.servers.written(name)
    ]


def _complete(world: World, announced: Announced, origin: Origin, found: Sequence[End]) -> None:
    what = f"{announced.kind} record {announced.number} at {origin}"
    if not found and (origin.partition, origin.offset) not in world.upstream.lost:
        raise Violation("G1", f"{what} has no end")
    if len(found) > 1 and world.plan.delivery == "exactly_once":
        raise Violation("G2", f"{what} has {len(found)} ends")
    for end in found:
        _as_expected(world, announced, end)


def _looked_deadly(world: World, announced: Announced, origin: Origin) -> bool:
    """Whether faults ended, each time, who had a record alone: nothing can tell it from one that kills."""
    place = TopicPartition(world.settings.topics.recordings, origin.partition)
    return world.blame.excuses(place, origin.offset, announced)


def _as_expected(world: World, announced: Announced, end: End) -> None:
    what, most = f"{announced.kind} record {announced.number}", most_attempts(world)
    if end.what == Reason.KILLED_WORKER and _looked_deadly(world, announced, end.origin):
        return
    if announced.kind is Kind.KILLS_DECODER and end.what == Reason.KILLED_WORKER and end.attempts < _LEAST_TRIES:
        raise Violation("G5", f"{what} was given up in its first try: time heals a shortage of memory")
    spoiled = world.hurt[announced.object_key] + tries_of_decoders(world, announced)
    if end.what != announced.expected and not (end.what == Reason.RETRIES_EXHAUSTED and spoiled >= most):
        raise Violation("G5", f"{what} ended as {end.what}, not as {announced.expected}")
    if end.what == Reason.RETRIES_EXHAUSTED and end.attempts != most:
        raise Violation("G5", f"{what} was given up after {end.attempts} tries, not after {most}")
    if end.attempts - 1 > spoiled:
        raise Violation("G5", f"{what} spent {end.attempts} tries, {spoiled} were spoiled")
