"""Credits: how many bytes and how much audio may be in flight."""

from collections.abc import Hashable
from typing import NamedTuple


class Weight(NamedTuple):
    """What one recording holds in memory: stored bytes, and audio once decoded (ms)."""

    size: int
    audio_ms: int

    def __add__(self, other: object) -> "Weight":
        if not isinstance(other, Weight):
            return NotImplemented
        return Weight(self.size + other.size, self.audio_ms + other.audio_ms)

    def __sub__(self, other: "Weight") -> "Weight":
        return Weight(self.size - other.size, self.audio_ms - other.audio_ms)

    def within(self, limit: "Weight") -> bool:
        """Whether neither part passes the limit."""
        return self.size <= limit.size and self.audio_ms <= limit.audio_ms


ZERO = Weight(0, 0)


class Credits:
    """Grants weight up to a limit. With nothing held everything is granted, so the oldest record can always go on."""

    def __init__(self, limit: Weight) -> None:
        self.limit = limit
        self._held: dict[Hashable, Weight] = {}
        self._total = ZERO

    @property
    def total(self) -> Weight:
        """What is held now."""
        return self._total

    def take(self, holder: Hashable, weight: Weight) -> bool:
        """Grant ``weight`` to a holder that has none, or refuse."""
        if self._held and not (self._total + weight).within(self.limit):
            return False
        self._held[holder] = weight
        self._total += weight
        return True

    def adjust(self, holder: Hashable, weight: Weight) -> None:
        """Correct an estimate once the truth is known; this may pass the limit, and then nothing new is granted."""
        if holder in self._held:
            self._total += weight - self._held[holder]
            self._held[holder] = weight

    def weight(self, holder: Hashable) -> Weight:
        """What a holder has."""
        return self._held.get(holder, ZERO)

    def give(self, holder: Hashable) -> None:
        """Return what a holder has; a holder without credit is no error, records fail before they hold any."""
        self._total -= self._held.pop(holder, ZERO)
