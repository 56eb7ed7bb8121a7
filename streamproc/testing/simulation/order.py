"""Whether what is written of one key stands in the order of its events."""

from collections.abc import Callable, Mapping

from streamproc.records.record import Record
from streamproc.testing.simulation.reading import Origin, origin_of, row_of
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World
from streamproc.testing.simulation.written import most_attempts


def check_order(world: World) -> None:
    """Check outputs of first tries: what went to a lane comes when it comes, and after a crash plain commits repeat.

    In strict order nothing goes to a lane, and every output is checked.
    """
    if world.plan.delivery != "exactly_once":
        return
    topics = world.settings.topics
    most = most_attempts(world) if world.plan.strict else 1
    first_results = {
        row["result_id"]: _origin(row)
        for stored in world.servers.written(topics.results)
        if (row := row_of(stored))["attempts"] <= most
    }
    if world.plan.strict and any(any(world.servers.written(lane)) for lane in topics.lanes):
        raise Violation("order", "in strict order something went to a lane")

    def result(stored: Record) -> tuple[Origin, int] | None:
        row = row_of(stored)
        return (_origin(row), 0) if row["attempts"] <= most else None

    def failure(stored: Record) -> tuple[Origin, int] | None:
        headers = dict(stored.headers)
        return (origin_of(headers), 0) if int(headers["sp-attempts"] or 0) <= most else None

    def segment(stored: Record) -> tuple[Origin, int] | None:
        row = row_of(stored)
        origin = first_results.get(row["result_id"])
        return None if origin is None else (origin, row["index"])

    _check(world, topics.results, result)
    _check(world, topics.segments, segment)
    for topic in (topics.dead_letters, *topics.lanes):
        _check(world, topic, failure)


def _check(world: World, topic: str, place: Callable[[Record], tuple[Origin, int] | None]) -> None:
    for number in range(world.servers.partitions(topic)):
        last: dict[tuple[bytes | None, int], tuple[int, int]] = {}
        for stored in world.servers.broker.read(topic, number):
            found = place(stored)
            if found is None:
                continue
            origin, index = found
            line, now = (stored.key, origin.partition), (origin.offset, index)
            if now <= last.get(line, (-1, -1)):
                raise Violation("order", f"{topic} has outputs of {stored.key!r} in another order than their events")
            last[line] = now


def _origin(row: Mapping[str, int]) -> Origin:
    return Origin(row["input_partition"], row["input_offset"])
