"""What is there when all is quiet: one end of every record, the right one, in order."""

import hashlib
import json
from collections import defaultdict
from functools import lru_cache
from math import isclose

import numpy as np

from streamproc.arena import SLOT_SECONDS
from streamproc.errors import Reason
from streamproc.records.identity import result_id
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import Record, TopicPartition
from streamproc.testing.device import IDENTITY
from streamproc.testing.simulation.reading import End, Origin, Reader, row_of
from streamproc.testing.simulation.recordings import Announced, Kind
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World

_MOST_ATTEMPTS = 6
_CLOSE = 1e-9


def quiet(world: World) -> bool:
    """Whether the group has read everything there is, and no transaction keeps readers from it."""
    if any(log.last_stable < log.end for log in world.logs()):
        return False
    topics, group = world.settings.topics, world.settings.kafka.group
    places = [TopicPartition(topics.recordings, number) for number in range(topics.partitions)]
    places += [TopicPartition(lane, number) for lane in topics.lanes for number in range(topics.lane_partitions)]
    for place in places:
        records = world.broker.read(*place)
        committed = world.broker.committed(group, place)
        if records and (committed is None or committed.offset <= records[-1].offset):
            return False
    return True


def check_end(world: World) -> None:
    """Check what is left when all is quiet."""
    _complete(world)
    _ordered(world)


def all_ends(world: World) -> list[End]:
    """Every outcome that a ``read_committed`` reader sees."""
    return Reader(world.settings.topics).ends(outputs(world))


def outputs(world: World) -> list[Record]:
    """Everything visible in the output topics, in the order of their logs."""
    topics = world.settings.topics
    names = (topics.results, topics.dead_letters, *topics.lanes)
    return [
        stored
        for name in names
        for number in range(world.partitions(name))
        for stored in world.broker.read(name, number)
    ]


def _complete(world: World) -> None:
    finals: defaultdict[Origin, list[tuple[Record, End]]] = defaultdict(list)
    reader = Reader(world.settings.topics)
    for stored in outputs(world):
        end = reader.end(stored)
        if end is not None and end.kind is not OutcomeKind.RETRY:
            finals[end.origin].append((stored, end))
    for place, announced in world.sent.items():
        origin = Origin(*place)
        found = finals.pop(origin, [])
        if not found and place in world.lost:
            continue
        if not found:
            raise Violation("G1", f"{announced.kind} record {announced.number} at {origin} has no end")
        if len(found) > 1 and world.plan.delivery == "exactly_once":
            raise Violation("G2", f"{announced.kind} record {announced.number} at {origin} has {len(found)} ends")
        for stored, end in found:
            _as_expected(world, announced, stored, end)
    if finals:
        raise Violation("G3", f"there are ends of records that nobody announced: {list(finals)}")


def _as_expected(world: World, announced: Announced, stored: Record, end: End) -> None:
    if end.what != announced.expected:
        tired = end.what == Reason.RETRIES_EXHAUSTED and end.attempts >= _MOST_ATTEMPTS
        if not (tired and world.hurts(announced) >= _MOST_ATTEMPTS):
            raise Violation(
                "G5", f"{announced.kind} record {announced.number} ended as {end.what}, not as {announced.expected}"
            )
    if end.attempts - 1 > world.hurts(announced):
        raise Violation(
            "G5", f"record {announced.number} spent {end.attempts} tries, {world.hurts(announced)} were spoiled"
        )
    if end.kind is OutcomeKind.RESULT:
        _true(announced, stored)
    else:
        _untouched(announced, stored)


def _true(announced: Announced, stored: Record) -> None:
    body, row = announced.body or b"", row_of(stored)
    if stored.key != announced.key:
        raise Violation("order", f"the result of record {announced.number} has key {stored.key!r}")
    if row["result_id"] != result_id(f"e{announced.number}", row["fingerprint"]):
        raise Violation("G2", f"the result of record {announced.number} has another id than its event: {row}")
    if row["content_sha256"] != hashlib.sha256(body).hexdigest() or row["event_id"] != f"e{announced.number}":
        raise Violation("G3", f"the result of record {announced.number} is another's: {row}")
    if announced.expected == "ok":
        scores = reference(body)
        found = [row[f"score_{label}"] for label in IDENTITY.labels]
        if not all(isclose(*pair, rel_tol=0, abs_tol=_CLOSE) for pair in zip(found, scores, strict=True)):
            raise Violation("G3", f"the scores of record {announced.number} are {found}, the reference says {scores}")


@lru_cache(1024)  # recordings of different seeds are mostly the same
def reference(body: bytes) -> tuple[float, ...]:
    """What the fake network says of the fake decoders' audio, computed apart from both, one recording at a time."""
    left, total, number = json.loads(body)["ms"], json.loads(body)["ms"], 0
    sums = np.zeros(len(IDENTITY.labels))
    while left > 0:
        ms = min(left, SLOT_SECONDS * 1000)
        samples = np.frombuffer(hashlib.sha256(body + bytes([number])).digest(), np.uint8)[: len(IDENTITY.labels)]
        head = (samples.astype(np.float32) / 255).astype(float) + 0.01
        sums += ms * head / head.sum()
        left, number = left - ms, number + 1
    return tuple(float(score) for score in sums / total)


def _untouched(announced: Announced, stored: Record) -> None:
    if announced.kind is Kind.HUGE:
        return
    own = stored.headers[: len(announced.headers)]
    if (stored.key, stored.value, own) != (announced.key, announced.value, announced.headers):
        raise Violation("G1", f"the dead letter of record {announced.number} is not its original")


def _ordered(world: World) -> None:
    if world.plan.delivery != "exactly_once":
        return
    topic = world.settings.topics.results
    for number in range(world.settings.topics.partitions):
        last: dict[bytes | None, int] = {}
        for stored in world.broker.read(topic, number):
            row = row_of(stored)
            if row["attempts"] > 1:
                continue
            if row["input_offset"] < last.get(stored.key, -1):
                raise Violation("order", f"results of {stored.key!r} stand in another order than their events")
            last[stored.key] = row["input_offset"]
