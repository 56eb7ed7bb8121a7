"""Repeated measurements, summed up without hiding how far they lie apart. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the most of some measurements."""

    least: float
    middle: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Sum up; of an even number the middle is the mean of the two in the middle. Raises ValueError for none."""
    return Spread(min(values), median(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours over theirs, turn by turn: what disturbs the machine during a turn disturbs both.

    Raises ValueError for two that are not equally many.
    """
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])
