"""G1 to G7, checked against what the broker holds. Nothing here believes a worker's own word."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamproc.arena import SLOT_SECONDS
from streamproc.errors import FatalError, Reason
from streamproc.records.identity import result_id
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import TopicSettings
from streamproc.testing.broker.values import Commit
from streamproc.testing.device import IDENTITY
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.recordings import Announced, Kind
from streamproc.testing.simulation.world import World

_MOST_ATTEMPTS = 6
_CLOSE = 1e-9
_TAKEN_S = 1.0
"""Far longer than the loop takes to look at an answer."""


class Violation(Exception):  # noqa: N818  # what was found, not a failure of the simulator
    """Raised when a guarantee does not hold: which one, and how it was seen."""

    def __init__(self, guarantee: str, what: str) -> None:
        super().__init__(f"{guarantee}: {what}")
        self.guarantee = guarantee


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record began."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Try:
    """One record of the input or of a lane."""

    place: TopicPartition
    offset: int
    origin: Origin
    attempts: int
    """Tries up to and with this one."""


@dataclass(frozen=True, slots=True)
class End:
    """One outcome as it can be read: of which try of which record, and what."""

    origin: Origin
    attempts: int
    """Tries up to and with this one."""
    kind: OutcomeKind
    result_id: str
    what: str
    """The status, or the reason."""


class Reader:
    """Makes outcomes of what lies in the output topics."""

    def __init__(self, topics: TopicSettings) -> None:
        self._topics = topics

    def ends(self, outputs: Iterable[Record]) -> list[End]:
        """The outcomes among outputs; segments and ledger rows are none."""
        return [end for output in outputs if (end := self.end(output)) is not None]

    def end(self, output: Record) -> End | None:
        """The outcome that an output is."""
        topics = self._topics
        if output.topic == topics.results:
            row = _row(output)
            origin = Origin(row["input_partition"], row["input_offset"])
            return End(origin, row["attempts"], OutcomeKind.RESULT, row["result_id"], row["status"])
        if output.topic == topics.dead_letters or output.topic in topics.lanes:
            headers = dict(output.headers)
            kind = OutcomeKind.DEAD_LETTER if output.topic == topics.dead_letters else OutcomeKind.RETRY
            return End(
                origin_of(headers), int(headers["sp-attempts"] or 0), kind, "", (headers["sp-reason"] or b"").decode()
            )
        return None

    def again(self, record: Record) -> Try:
        """Which try of which record a lane's record announces."""
        headers = dict(record.headers)
        attempts = int(headers["sp-attempts"] or 0) + 1
        return Try(record.source, record.offset, origin_of(headers), attempts)


def origin_of(headers: Mapping[str, bytes | None]) -> Origin:
    """Read the origin that a lane's record, or a dead letter, carries."""
    return Origin(int(headers["sp-origin-partition"] or 0), int(headers["sp-origin-offset"] or 0))


class Observer:
    """Looks at every commit as it happens, when the broker knows who owns what."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reader = Reader(world.settings.topics)
        self._once = world.plan.delivery == "exactly_once"
        self._topics = topics = world.settings.topics
        self._delays_s = dict(zip(topics.lanes, world.settings.retry.delays_s, strict=True))
        self.transactions = 0
        self.violation: Violation | None = None
        """The first that was seen. Not raised here: this runs inside the worker's own call."""

    def __call__(self, committed: Commit) -> None:
        """Check one transaction, or one plain commit of offsets."""
        if not committed.member_id:
            return  # by hand, by the operator, or without offsets, by upstream
        self.transactions += 1
        try:
            self._check(committed)
            check_bounds(self._world)
        except Violation as found:
            self.violation = self.violation or found

    def _check(self, committed: Commit) -> None:
        world = self._world
        world.tell(
            f"{committed.member_id} commits {[f'{o.topic}/{o.partition} to {o.offset}' for o in committed.offsets]}"
        )
        taken: list[Try] = []
        for moved in committed.offsets:
            place = TopicPartition(moved.topic, moved.partition)
            if moved.owner_when_sent != committed.member_id:
                raise Violation(
                    "G4", f"{committed.member_id} commits {place} up to {moved.offset}: it is {moved.owner_when_sent}'s"
                )
            before = moved.before or 0
            if moved.offset < before:
                raise Violation("G4", f"{place} goes back from {before} to {moved.offset}")
            taken += self._tries(place, before, moved.offset)
            self._waited(place, before, moved.offset)
        found = self._reader.ends(committed.outputs) if self._once else all_ends(world)
        ends = {(end.origin, end.attempts): end for end in found}
        gone = {Origin(*lost) for lost in world.lost}
        taken = [one for one in taken if one.origin not in gone or (one.origin, one.attempts) in ends]
        tried = Counter((one.origin, one.attempts) for one in taken)
        if self._once:
            self._same(tried, Counter((end.origin, end.attempts) for end in found), committed)
            self._ledger(committed, taken, ends)
            self._segments(committed)
        elif missing := tried.keys() - ends.keys():
            raise Violation("G1", f"offsets are committed before the outcomes of {sorted(map(str, missing))}")

    def _tries(self, place: TopicPartition, before: int, after: int) -> list[Try]:
        """What there is to be read in a stretch of a partition, and was, whatever retention has deleted since."""
        if place.topic == self._topics.recordings:
            sent, number = self._world.sent, place.partition
            offsets = (offset for offset in range(before, after) if (number, offset) in sent)
            return [Try(place, offset, Origin(number, offset), 1) for offset in offsets]
        records = self._world.broker.read(*place)
        return [self._reader.again(record) for record in records if before <= record.offset < after]

    def _waited(self, place: TopicPartition, first: int, following: int) -> None:
        now_ms, delay_ms = self._world.clock.wall_ms(), round(1000 * self._delays_s.get(place.topic, 0))
        for record in self._world.broker.read(*place) if delay_ms else ():
            if first <= record.offset < following and now_ms < record.timestamp_ms + delay_ms:
                left_ms = record.timestamp_ms + delay_ms - now_ms
                raise Violation("lanes", f"{place} offset {record.offset} was tried {left_ms} ms before it was due")

    def _same(self, tried: Counter[tuple[Origin, int]], ended: Counter[tuple[Origin, int]], committed: Commit) -> None:
        if missing := tried - ended:
            raise Violation("G1", f"offsets up to {committed.offsets} are committed without outcomes of {missing}")
        if more := ended - tried:
            raise Violation("G2", f"outcomes are committed without the offsets of {more}, or twice")

    def _ledger(self, committed: Commit, taken: Sequence[Try], ends: Mapping[tuple[Origin, int], End]) -> None:
        rows = [_row(output) for output in committed.outputs if output.topic == self._topics.ledger]
        by_partition: defaultdict[TopicPartition, list[Try]] = defaultdict(list)
        for one in taken:
            by_partition[one.place].append(one)
        found = {TopicPartition(row["input_topic"], row["input_partition"]): row for row in rows}
        if found.keys() != by_partition.keys() or len(rows) != len(found):
            raise Violation("G2", f"the ledger has rows of {list(found)}, committed were {list(by_partition)}")
        for place, tries in by_partition.items():
            lines = [(one.offset, ends[one.origin, one.attempts]) for one in tries]
            text = "".join(f"{offset}:{end.kind}:{end.result_id}\n" for offset, end in lines)
            counts = Counter(end.kind for _, end in lines)
            expected = (
                lines[0][0],
                lines[-1][0],
                counts[OutcomeKind.RESULT],
                counts[OutcomeKind.RETRY],
                counts[OutcomeKind.DEAD_LETTER],
                hashlib.sha256(text.encode()).hexdigest(),
            )
            row = found[place]
            names = ("first_offset", "last_offset", "results", "retries", "dead_letters", "digest")
            if tuple(row[name] for name in names) != expected:
                raise Violation("G2", f"the ledger's row of {place} is {row}, and it should say {expected}")

    def _segments(self, committed: Commit) -> None:
        results = [_row(output) for output in committed.outputs if output.topic == self._topics.results]
        asked = {
            row["result_id"]: row["segment_count"]
            for row in results
            if self._world.sent[row["input_partition"], row["input_offset"]].kind is Kind.SEGMENTS
        }
        found = Counter(
            _row(output)["result_id"] for output in committed.outputs if output.topic == self._topics.segments
        )
        if found != Counter(asked):
            raise Violation("G2", f"segments were asked for of {asked}, written were {found}")


def check_process(process: WorkerProcess, *, struck: bool) -> None:
    """Check how a process ended: by a decision of its own, and with nothing left in its hands."""
    error = process.error or process.failure
    if error is None:
        leased = process.arena.slots - process.arena.free
        if leased != process.device.holds:  # what the device has not answered may be of records that were lost
            raise Violation(
                "G6", f"{process.name} ended with {leased} slots leased, {process.device.holds} on the device"
            )
    elif not isinstance(error, FatalError) or "unforeseen" in str(error):
        raise Violation("G1", f"{process.name} crashed: {error!r}") from error
    elif not struck:
        raise Violation("G7", f"{process.name} ended without any fault: {error!r}") from error


def check_bounds(world: World) -> None:
    """Check what every living worker holds."""
    flow = world.settings.flow
    # What is longer than its event says, or than everything together may be, is in flight all the same.
    long_ms = sum(json.loads(one.body or b"")["ms"] for one in world.sent.values() if one.kind is Kind.LONG)
    most = {
        "micro_batches": flow.micro_batches,
        "records": flow.micro_batches * flow.micro_batch_records,
        "bytes": flow.in_flight_bytes,
        "audio_ms": round(1000 * flow.in_flight_audio_s) + long_ms,
    }
    for process in world.processes():
        held: Any = process.runtime.status()["in_flight"]
        over = {name: number for name, number in held.items() if number > most[name]}
        if over:
            raise Violation("G6", f"{process.name} has {over} in flight, at most {most} are allowed")
        _check_of_nothing(process, held, world.fibers.now)


def _check_of_nothing(process: WorkerProcess, held: Mapping[str, int], now: float) -> None:
    """Check that credit is given back. What is fetched for a lost record has it until the loop has taken the answer."""
    kept = held and not held["records"] and (held["bytes"] or held["audio_ms"])
    if not kept or process.store.under_way or process.frozen:
        process.holds_nothing_since = None
    elif process.holds_nothing_since is None:
        process.holds_nothing_since = now
    elif now - process.holds_nothing_since > _TAKEN_S:
        raise Violation("G6", f"{process.name} holds {held['bytes']} bytes, {held['audio_ms']} ms of no record")


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
    body, row = announced.body or b"", _row(stored)
    if stored.key != announced.key:
        raise Violation("order", f"the result of record {announced.number} has key {stored.key!r}")
    if row["result_id"] != result_id(f"e{announced.number}", row["fingerprint"]):
        raise Violation("G2", f"the result of record {announced.number} has another id than its event: {row}")
    if row["content_sha256"] != hashlib.sha256(body).hexdigest() or row["event_id"] != f"e{announced.number}":
        raise Violation("G3", f"the result of record {announced.number} is another's: {row}")
    if announced.expected == "ok":
        scores = reference(body)
        found = [row[f"score_{label}"] for label in IDENTITY.labels]
        if not np.allclose(found, scores, rtol=0, atol=_CLOSE):
            raise Violation("G3", f"the scores of record {announced.number} are {found}, the reference says {scores}")


def reference(body: bytes) -> list[float]:
    """What the fake network says of the fake decoders' audio, computed apart from both, one recording at a time."""
    left, total, number = json.loads(body)["ms"], json.loads(body)["ms"], 0
    sums = np.zeros(len(IDENTITY.labels))
    while left > 0:
        ms = min(left, SLOT_SECONDS * 1000)
        samples = np.frombuffer(hashlib.sha256(body + bytes([number])).digest(), np.uint8)[: len(IDENTITY.labels)]
        head = (samples.astype(np.float32) / 255).astype(float) + 0.01
        sums += ms * head / head.sum()
        left, number = left - ms, number + 1
    return [float(score) for score in sums / total]


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
            row = _row(stored)
            if row["attempts"] > 1:
                continue
            if row["input_offset"] < last.get(stored.key, -1):
                raise Violation("order", f"results of {stored.key!r} stand in another order than their events")
            last[stored.key] = row["input_offset"]


def _row(stored: Record) -> Mapping[str, Any]:
    row: Mapping[str, Any] = json.loads(stored.value or b"null")
    return row
