"""What a seed means: the size of the world, what is announced, what goes wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from streamproc.testing.simulation.fault import PAIRS, Fault, FaultKind, Point
from streamproc.testing.simulation.recordings import Announced, Kind, announce

_WEIGHTS = {
    Kind.PLAIN: 10,
    Kind.REPEAT: 5,
    Kind.SEGMENTS: 2,
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
    Kind.UNKNOWN: 0.5,
    Kind.HEADERS: 0.5,
    Kind.LONG: 0.1,
    Kind.HUGE: 0.02,
}
_LARGE = 0.15
"""Share of the runs with many records and workers. What can go wrong needs few of them, and small runs are quick."""
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
    announced: tuple[tuple[float, Announced], ...]
    """What upstream sends, and when."""
    gaps: tuple[float, ...]
    """When upstream aborts a transaction of its own, which leaves offsets that no record has."""
    faults: tuple[Fault, ...]
    retention_at: float | None
    """When records that nobody has read are deleted; None for never."""


def make_plan(seed: int) -> Plan:
    """Draw a plan. The first fault goes through all pairs of fault and point in turn, so that none is left to luck."""
    random = Random(seed)  # noqa: S311  # a schedule that can be played again, not a secret
    first = PAIRS[seed % len(PAIRS)]
    large = random.random() < _LARGE
    partitions = random.choice((1, 2, 3) if large else (1, 1, 2))
    span = random.choice((0.0, 0.5, 2.0) if large else (0.0, 0.0, 0.5))
    return Plan(
        seed=seed,
        protocol="classic" if random.random() < 0.3 else "consumer",  # noqa: PLR2004  # a share of the runs
        delivery="at_least_once" if random.random() < 0.1 else "exactly_once",  # noqa: PLR2004  # same
        workers=random.choice((1, 2, 3, 3) if large else (1, 2, 2)),
        partitions=partitions,
        micro_batch_records=random.choice((1, 3, 8)),
        shared_tier=random.random() < 0.9 or first[1] in {Point.LOOKUP, Point.REMEMBER},  # noqa: PLR2004  # same
        tight=random.random() < 0.3,  # noqa: PLR2004  # same
        announced=tuple(_announced(random, partitions, span, large=large, huge=first[1] is Point.ASSEMBLE)),
        gaps=tuple(random.uniform(0, span) for _ in range(random.choice((0, 0, 1, 2)))),
        faults=tuple(_faults(random, first)),
        retention_at=random.uniform(0.1, 1.0) if random.random() < 0.02 else None,  # noqa: PLR2004  # same
    )


def _announced(
    random: Random, partitions: int, span: float, *, large: bool, huge: bool
) -> Iterator[tuple[float, Announced]]:
    kinds = random.choices(_KINDS, _SHARES, k=random.choice((6, 10, 16) if large else (2, 3, 5)))
    if huge:
        kinds[random.randrange(len(kinds))] = Kind.HUGE
    origins: list[int] = []
    for number, kind in enumerate(kinds):
        like = random.choice(origins) if kind is Kind.REPEAT and origins else None
        if kind in {Kind.PLAIN, Kind.SEGMENTS}:
            origins.append(number)
        partition = random.randrange(partitions)
        key = b"k%d-%d" % (partition, random.randrange(2))
        yield random.uniform(0, span), announce(number, kind, partition, key, like)


def _faults(random: Random, first: tuple[FaultKind, Point]) -> Iterator[Fault]:
    if first[1] is Point.ABORT:
        # Nothing is aborted without a reason.
        yield Fault(FaultKind.LOST, Point.METADATA, visit=random.choice((1, 2, 3)))
        yield Fault(*first, visit=1)
    else:
        yield Fault(*first, visit=random.choice((1, 1, 2, 3, 5)))
    for _ in range(random.choice((0, 0, 1, 2, 4))):
        kind, point = random.choice(PAIRS)
        yield Fault(kind, point, visit=random.choice((1, 2, 3, 5, 8, 13)))
