"""What a look at one thing found."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is."""

    WELL = "well"
    DOUBTFUL = "doubtful"
    """It works, and somebody should know."""
    UNKNOWN = "unknown"
    """It could not be asked, for a reason that another finding names or that is nobody's fault."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says: one line, what to do, and lines of detail."""

    verdict: Verdict
    says: str
    advice: str = ""
    """Empty where nothing is to be done."""
    details: tuple[str, ...] = ()


def well(says: str, *details: str) -> Finding:
    """Nothing is to be done."""
    return Finding(Verdict.WELL, says, "", details)


def doubtful(says: str, advice: str, *details: str) -> Finding:
    """A worker would work."""
    return Finding(Verdict.DOUBTFUL, says, advice, details)


def wrong(says: str, advice: str, *details: str) -> Finding:
    """A worker would not start, would lose a guarantee, or would not go on for long."""
    return Finding(Verdict.WRONG, says, advice, details)


def unknown(says: str, advice: str = "") -> Finding:
    """Nobody can tell from here."""
    return Finding(Verdict.UNKNOWN, says, advice)
