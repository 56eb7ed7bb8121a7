"""What became of a mutant, or of the program as it is."""

from dataclasses import dataclass
from enum import StrEnum

from tools.mutants.mutant import Mutant


class Fate(StrEnum):
    """What a killer found."""

    DEAD = "dead"
    """A guarantee did not hold, or a test failed."""
    ALIVE = "alive"
    BROKEN = "broken"
    """Nothing was found out: the killer itself failed, or the mutant is no program any more."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fate, and how it was seen."""

    fate: Fate
    by: str = ""
    """The seed, or the test."""
    how: str = ""
    seconds: float = 0.0


Judged = tuple[Mutant, Verdict]
