"""What many seeds showed together."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamproc.testing.simulation.fault import PAIRS, FaultKind, Point
from streamproc.testing.simulation.simulation import Found

_KEPT = 20
"""Failing seeds that are remembered one by one."""


@dataclass(slots=True)
class Tally:
    """Sums over seeds; two of them can be added."""

    seeds: int = 0
    transactions: int = 0
    exits: int = 0
    killed: int = 0
    virtual_s: float = 0.0
    longest_fresh_s: float = 0.0
    takeovers: int = 0
    longest_takeover_s: float = 0.0
    longest_revoke_s: float = 0.0
    resumed: int = 0
    """Finished segments of a former owner that a next one found."""
    failed: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)
    """The first of those that failed: seed and violation."""
    struck: Counter[tuple[FaultKind, Point]] = field(default_factory=Counter)
    felt: Counter[tuple[FaultKind, Point]] = field(default_factory=Counter)
    """Of what struck, what had an effect."""

    def add(self, found: Found) -> None:
        """Count one seed."""
        failures = [] if found.violation is None else [(found.seed, found.violation)]
        one = Tally(
            seeds=1,
            transactions=found.transactions,
            exits=found.exits,
            killed=found.killed,
            virtual_s=found.virtual_s,
            longest_fresh_s=found.fresh_s,
            takeovers=found.takeovers,
            longest_takeover_s=found.takeover_s,
            longest_revoke_s=found.revoke_s,
            resumed=found.resumed,
            failed=len(failures),
            failures=failures,
            struck=Counter(found.struck),
            felt=Counter(found.felt),
        )
        self.join(one)

    def join(self, other: "Tally") -> None:
        """Add what other seeds showed."""
        self.seeds += other.seeds
        self.transactions += other.transactions
        self.exits += other.exits
        self.killed += other.killed
        self.virtual_s += other.virtual_s
        self.longest_fresh_s = max(self.longest_fresh_s, other.longest_fresh_s)
        self.takeovers += other.takeovers
        self.longest_takeover_s = max(self.longest_takeover_s, other.longest_takeover_s)
        self.longest_revoke_s = max(self.longest_revoke_s, other.longest_revoke_s)
        self.resumed += other.resumed
        self.struck.update(other.struck)
        self.felt.update(other.felt)
        self.failed += other.failed
        self.failures = sorted([*self.failures, *other.failures])[:_KEPT]

    def below(self, floor: int) -> list[tuple[FaultKind, Point]]:
        """Pairs of fault and point that had an effect less often than ``floor``."""
        return [pair for pair in PAIRS if self.felt[pair] < floor]

    def as_json(self, floor: int) -> Mapping[str, Any]:
        """For programs."""
        return {
            "seeds": self.seeds,
            "failed": self.failed,
            "failures": [{"seed": seed, "violation": violation} for seed, violation in self.failures],
            "transactions": self.transactions,
            "faults": sum(self.struck.values()),
            "felt": sum(self.felt.values()),
            "pairs": len(PAIRS),
            "pairs_reached": sum(self.felt[pair] > 0 for pair in PAIRS),
            "fewest": min(self.felt[pair] for pair in PAIRS),
            "below_floor": [f"{kind} at {point}" for kind, point in self.below(floor)],
            "exits": self.exits,
            "killed": self.killed,
            "virtual_hours": round(self.virtual_s / 3600, 3),
            "longest_fresh_s": round(self.longest_fresh_s, 3),
            "takeovers": self.takeovers,
            "longest_takeover_s": round(self.longest_takeover_s, 3),
            "longest_revoke_s": round(self.longest_revoke_s, 3),
            "resumed": self.resumed,
        }


def tally(found: Iterable[Found]) -> Tally:
    """Sum up."""
    total = Tally()
    for one in found:
        total.add(one)
    return total
