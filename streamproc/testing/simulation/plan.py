"""What a seed means: the size of the world, what is announced, what goes wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Literal

from streamproc.testing.simulation.fault import PAIRS, Fault, FaultKind, Point
from streamproc.testing.simulation.recordings import Announced, Kind, announce

_WEIGHTS = {
    Kind.PLAIN: 10,
    Kind.REPEAT: 5,
    Kind.SEGMENTS: 2,
    Kind.TIMELINE: 1,
    Kind.EMBEDDING: 1,
    Kind.LATE: 1,
    Kind.FLAKY: 1,
    Kind.BROKEN: 0.5,
    Kind.MISSING: 1,
    Kind.GARBAGE: 1,
    Kind.TOMBSTONE: 0.5,
    Kind.SILENT: 1,
    Kind.SHORT: 0.5,
    Kind.FOREIGN: 0.5,
    Kind.UNDECODABLE: 1,
    Kind.POISONED: 1,
    Kind.UNKNOWN: 0.5,
    Kind.HEADERS: 0.5,
    Kind.LONG: 0.1,
    Kind.LONG_SEGMENTS: 0.1,
    Kind.HOURS: 0.02,
    Kind.HOURS_EMBEDDING: 0.01,
    Kind.HUGE: 0.02,
}


@dataclass(frozen=True, slots=True)
class _Size:
    """How large a world is: one of each is drawn."""

    share: float
    """Of the runs. What can go wrong needs few records and workers, and small runs are quick."""
    records: tuple[int, ...]
    workers: tuple[int, ...]
    partitions: tuple[int, ...]
    spans_s: tuple[float, ...]


_SIZES = (
    _Size(0.86, (2, 3, 5), (1, 2, 2), (1, 1, 2), (0.0, 0.0, 0.5)),
    _Size(0.12, (6, 10, 16), (1, 2, 3, 3), (1, 2, 3), (0.0, 0.5, 2.0)),
    _Size(0.02, (30, 45, 60), (2, 3, 4), (2, 3, 4), (0.0, 2.0, 5.0)),
)
_WAITING = 0.7
"""Share of the first faults that wait for something to hit; others may hit nothing, which must do no harm either."""
_BUSY = 0.7
"""Share of the runs whose first fault kills a device or decoders in which one is made to be at work then."""
_VICTIMS = {FaultKind.DEVICE_DEATH: Point.INFER, FaultKind.DECODER_DEATH: Point.PREPARE}
_COMMITS = frozenset(
    {Point.METADATA, Point.BEGIN, Point.PRODUCE, Point.OFFSETS, Point.COMMIT, Point.COMMITTED, Point.ABORT}
)
_RARE = {Point.ADMIT: Kind.UNKNOWN, Point.ASSEMBLE: Kind.HUGE}
"""Points that few kinds of records come to, but for the first record of all."""
_REBALANCES = frozenset({Point.ASSIGN, Point.REVOKE})
_OPEN = (Point.OFFSETS, Point.COMMIT)
"""Points at which a worker that dies leaves a transaction open which holds offsets up."""
_ALONE = 0.03
"""Share of the runs with several workers in which one dies in a transaction that no successor of its slot decides."""
_HELD = 0.03
"""Share of the runs in which a worker is to give back partitions while what it has of them outlasts a drain."""
_EMBEDDED_AGAIN = 0.5
"""Share of the embeddings that are asked for of bytes that another record has."""
_HOURS = 0.03
"""Share of the runs in which the first recording takes longer than a drain, and loses its owner in its middle."""
_ENDS_OWNER = (*[FaultKind.CRASH] * 4, FaultKind.STOP, FaultKind.LOST, FaultKind.TWIN, FaultKind.REVOKE)
_GIVEN_UP = ((FaultKind.LOST, Point.METADATA),)
_AWAY = ((FaultKind.DOWN, Point.PRODUCE), (FaultKind.DOWN, Point.OFFSETS))
"""What makes transactions abort: a member that was given up, which has nothing then, or no broker for long enough."""
_HOLDERS = frozenset({FaultKind.REVOKE, FaultKind.LOST, FaultKind.ZOMBIE, FaultKind.DUPLICATE})
"""Faults that hit only who has partitions."""
_MOVES = (
    (FaultKind.REVOKE, Point.FETCH),
    (FaultKind.REVOKE, Point.PRODUCE),
    (FaultKind.CRASH, Point.FETCH),
    (FaultKind.STOP, Point.FETCH),
    (FaultKind.LOST, Point.PREPARE),
)
"""What makes partitions move while work goes on."""
_BURST = 0.02
"""Share of the runs in which upstream sends bad records in a row."""
_STRICT = 0.04
"""Share of the runs in strict order."""
_STRICT_FIRST = 700
_BURST_FIRST = 500
_BURST_RECORDS = 40
_BAD = (Kind.GARBAGE, Kind.MISSING, Kind.UNDECODABLE)
_DEADLY = 0.05
"""Share of the runs in which some recordings kill whoever works on them."""
_KILLERS = (Kind.KILLS_DECODER, Kind.KILLS_DEVICE, Kind.KILLS_WORKER, Kind.KILLS_WORKER)
_KINDS, _SHARES = tuple(_WEIGHTS), tuple(_WEIGHTS.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """One run, before it begins. Spans are virtual seconds."""

    seed: int
    protocol: Literal["consumer", "classic"]
    delivery: Literal["exactly_once", "at_least_once"]
    workers: int
    partitions: int
    micro_batch_records: int
    shared_tier: bool
    tight: bool
    """Whether what may be in flight is so little that records wait for credits."""
    trust: Literal["content", "etag", "declared"]
    """What spares a fetch."""
    archive: bool
    announced: tuple[tuple[float, Announced], ...]
    """What upstream sends, and when."""
    gaps: tuple[float, ...]
    """When upstream aborts a transaction of its own, which leaves offsets that no record has."""
    faults: tuple[Fault, ...]
    alone: bool
    """Whether nobody starts a worker again that was killed while another one lives, until everything is healed."""
    retention_at: float | None
    """When records that nobody has read are deleted; None for never."""
    burst: bool = False
    """Whether upstream sends so many bad records in a row that the brake goes on."""
    strict: bool = False
    """Whether what fails for now is tried again in place."""


def make_plan(seed: int) -> Plan:
    """Draw a plan. The first fault goes through all pairs of fault and point in turn, so that none is left to luck."""
    random = Random(seed)  # noqa: S311  # a schedule that can be played again, not a secret
    first = PAIRS[seed % len(PAIRS)]
    [size] = random.choices(_SIZES, [size.share for size in _SIZES])
    partitions, span = random.choice(size.partitions), random.choice(size.spans_s)
    workers = random.choice(size.workers)
    busy = first[0] in _VICTIMS and random.random() < _BUSY
    held = not busy and random.random() < _HELD
    if held:
        partitions, workers = max(2, partitions), 1
    if first[1] in _REBALANCES:
        partitions, workers, span = max(2, partitions), max(2, workers), max(1.5, span)
    if busy and first[1] is not Point.REVOKE and first != (FaultKind.DECODER_DEATH, Point.ASSIGN):
        workers = 1
    faults = list(_faults(random, first, busy=busy))
    if held:
        faults += _held(random)
    hours = not (busy or held) and random.random() < _HOURS
    if hours:
        faults.append(Fault(random.choice(_ENDS_OWNER), Point.INFER, visit=random.randrange(10, 28), waits=True))
    alone = workers > 1 and random.random() < _ALONE
    if alone:
        faults.append(Fault(FaultKind.CRASH, random.choice(_OPEN), visit=random.choice((1, 2, 3))))
    plan = Plan(
        seed=seed,
        protocol="classic" if random.random() < 0.3 else "consumer",  # noqa: PLR2004  # a share of the runs
        delivery="at_least_once" if random.random() < 0.1 else "exactly_once",  # noqa: PLR2004  # same
        workers=workers,
        partitions=partitions,
        micro_batch_records=1 if busy else random.choice((1, 3, 8)),
        shared_tier=random.random() < 0.9 or hours or first[1] in {Point.LOOKUP, Point.REMEMBER},  # noqa: PLR2004  # same
        tight=random.random() < 0.3 and not busy,  # noqa: PLR2004  # same
        announced=tuple(_announced(random, size, partitions, span, first[1], busy=busy, hours=hours)),
        gaps=tuple(random.uniform(0, span) for _ in range(random.choice((0, 0, 1, 2)))),
        faults=tuple(_apart(faults)),
        alone=alone,
        retention_at=random.uniform(0.1, 1.0) if random.random() < 0.02 else None,  # noqa: PLR2004  # same
        archive=random.random() < 0.2,  # noqa: PLR2004  # same
        trust=random.choices(("content", "etag", "declared"), (6, 2, 2))[0],
    )
    if plan.retention_at is None and random.random() < _DEADLY:
        plan = replace(plan, announced=(*plan.announced, *_deadly(random, plan, span)))
    return plan if busy or held or hours or alone else _strict(_with_burst(plan))


def _strict(plan: Plan) -> Plan:
    """Let some of these plans be in strict order, with records that the store fails on."""
    random = Random(f"strict {plan.seed}")  # noqa: S311  # same as below
    if random.random() >= _STRICT:
        return plan
    partition = random.randrange(plan.partitions)
    flaky = [
        (random.uniform(0, 1), announce(_STRICT_FIRST + number, kind, partition, b"k%d-0" % partition, None))
        for number, kind in enumerate(random.choices((Kind.FLAKY, Kind.PLAIN, Kind.BROKEN), (3, 3, 0.3), k=6))
    ]
    return replace(plan, strict=True, announced=(*plan.announced, *flaky))


def _with_burst(plan: Plan) -> Plan:
    """Send bad records to one partition, so many that whoever has it takes far more of them than a row."""
    random = Random(f"burst {plan.seed}")  # noqa: S311  # its own, so that the rest of the plan is as it would be
    if random.random() >= _BURST:
        return plan
    partition, begin = random.randrange(plan.partitions), random.uniform(0, 1)
    key = b"k%d-0" % partition
    bad = [
        (begin + 0.01 * number, announce(_BURST_FIRST + number, random.choice(_BAD), partition, key, None))
        for number in range(_BURST_RECORDS)
    ]
    return replace(
        plan,
        burst=True,
        micro_batch_records=random.choice((1, 2)),
        announced=(*plan.announced, *bad),
        retention_at=None,
    )


def _deadly(random: Random, plan: Plan, span: float) -> Iterator[tuple[float, Announced]]:
    for number in range(len(plan.announced), len(plan.announced) + random.choice((1, 1, 2, 3))):
        partition = random.randrange(plan.partitions)
        key = b"k%d-%d" % (partition, random.randrange(2))
        yield random.uniform(0, span), announce(number, random.choice(_KILLERS), partition, key, None)


def _announced(
    random: Random, size: _Size, partitions: int, span: float, point: Point, *, busy: bool, hours: bool
) -> Iterator[tuple[float, Announced]]:
    kinds = random.choices(_KINDS, _SHARES, k=random.choice(size.records))
    if hours:
        kinds[0] = random.choice((Kind.HOURS, Kind.HOURS_EMBEDDING))
    if busy:
        kinds[:2] = [Kind.PLAIN] * 3
    if point in _RARE:
        # Behind one that is at work; two are in flight when each has a micro-batch of its own.
        kinds = [Kind.PLAIN, _RARE[point]] if busy else [*kinds[:-1], _RARE[point]]
    origins: list[int] = []
    for number, kind in enumerate(kinds):
        again = kind is Kind.REPEAT or (kind is Kind.EMBEDDING and random.random() < _EMBEDDED_AGAIN)
        like = random.choice(origins) if again and origins else None
        if kind in {Kind.PLAIN, Kind.SEGMENTS, Kind.EMBEDDING} and like is None:
            origins.append(number)
        partition = random.randrange(partitions)
        key = b"k%d-%d" % (partition, random.randrange(2))
        # What is rare comes when others are at work, if there is anything else.
        late_s = random.uniform(0, 1) if kind is _RARE.get(point) else 0.0
        yield random.uniform(0, span) + late_s, announce(number, kind, partition, key, like)


def _faults(random: Random, first: tuple[FaultKind, Point], *, busy: bool) -> Iterator[Fault]:
    kind, point = first
    if point is Point.ABORT:
        # Nothing is aborted without a reason.
        causes = _AWAY if kind in _HOLDERS else _GIVEN_UP if busy else random.choice((_AWAY, _GIVEN_UP))
        for cause in causes:
            # The first visits of most points of a commit are the mark's, when nothing is at work.
            earliest = 1 if cause[1] is Point.PRODUCE else 2
            yield Fault(*cause, visit=earliest + random.choice((0, 0, 1)))
    visit = 1 if busy or point is Point.ABORT else random.choice((1, 1, 2, 3, 5))
    yield Fault(kind, point, visit, waits=busy or random.random() < _WAITING)
    if busy and _VICTIMS[kind] is not point:
        # It takes its time over the first record, or over one behind it while the first is committed.
        visits = (2,) if point in _COMMITS else (1,) if point in {*_RARE, *_REBALANCES} else (1, 2)
        yield Fault(FaultKind.SLOW, _VICTIMS[kind], visit=random.choice(visits))
    if busy and first == (FaultKind.DEVICE_DEATH, Point.ASSIGN):
        # Given up and taken back in, while the device is not done with what is not ours any more.
        yield Fault(FaultKind.LOST, Point.PREPARE, visit=random.choice((2, 3)))
    elif point is Point.ASSIGN and (busy or kind is FaultKind.DUPLICATE):
        # One that idles ends, and this one gets what that one had.
        yield Fault(FaultKind.STOP, Point.POLL, visit=random.randrange(10, 20))
    elif point is Point.REVOKE and (busy or kind is FaultKind.DUPLICATE):
        yield Fault(*random.choice(_MOVES), visit=random.choice((1, 2, 3)))
    for _ in range(random.choice((0, 0, 1, 2, 4))):
        kind, point = random.choice(PAIRS)
        yield Fault(kind, point, visit=random.choice((1, 2, 3, 5, 8, 13)))


def _held(random: Random) -> Iterator[Fault]:
    at, before = random.choice(
        ((Point.COMMIT, Point.OFFSETS), (Point.COMMIT, Point.PRODUCE), (Point.INFER, Point.PREPARE))
    )
    visit = random.choice((1, 1, 2))
    yield Fault(FaultKind.REVOKE, before, visit)
    yield Fault(FaultKind.SLOW, at, visit, long=True)


def _apart(faults: Iterable[Fault]) -> Iterator[Fault]:
    """At one visit to a point one fault can strike: another that was drawn for it comes at the next one."""
    taken: set[tuple[Point, int]] = set()
    for fault in faults:
        visit = next(visit for visit in count(fault.visit) if (fault.point, visit) not in taken)
        taken.add((fault.point, visit))
        yield fault._replace(visit=visit)
