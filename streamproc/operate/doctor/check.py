"""A check: a name, what it asks, and how long it may take."""

from collections.abc import Callable
from dataclasses import dataclass

from streamproc.operate.doctor.finding import Finding

ANSWER_S = 5.0
"""For one request to a server that is there."""
WITHIN_S = 20.0
"""For a check that makes a few of them."""


@dataclass(frozen=True, slots=True)
class Check:
    """Looks at one thing, and changes nothing."""

    name: str
    asks: str
    """The question, for the documentation."""
    look: Callable[[], Finding]
    """May raise any StreamprocError, which is then what was found."""
    advice: str
    """What to do when it raises, or does not come to an end."""
    within_s: float = WITHIN_S
