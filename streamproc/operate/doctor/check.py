"""A check: a name, what it asks, and how long it may take."""

from collections.abc import Callable
from dataclasses import dataclass

from streamproc.operate.doctor.finding import Finding
from streamproc.operate.doctor.wire import Wire

ANSWER_S = 5.0
"""For one request to a server that is there."""
_UNKNOWN_HOST = ("Name or service not known", "name resolution", "NameResolutionError", "No address associated")
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
    cures: tuple[tuple[str, str], ...] = ()
    """What to do instead, by words of what it raised."""
    wire: Wire | None = None
    """To the server that it asks: looked at when it raises, since what it raises does not tell of TLS."""

    def cure(self, said: str) -> str:
        """What to do about that. Looks at the wire, which takes a few ``PROBE_S`` where nobody answers."""
        mistaken = self.wire.cure() if self.wire else None
        return mistaken or next((cure for words, cure in self.cures if words in said), self.advice)


def unknown_host(setting: str) -> tuple[tuple[str, str], ...]:
    """What to do about a name that this computer has no address for, in the words of the libraries that say so."""
    cure = f"This computer knows no such host: correct its name in {setting}, or what resolves names here."
    return tuple((words, cure) for words in _UNKNOWN_HOST)
