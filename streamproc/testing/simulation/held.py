"""What a process holds, counted where it is handed out: the bytes of objects by the store, waveforms by the arena."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE, Arena, Lease


class Loan(NamedTuple):
    """Bytes that are held."""

    size: int
    over: int
    """Of them, those that nobody could know of when they were asked for."""


class Loans:
    """All the bytes that a process holds of objects."""

    __slots__ = ("over", "size")

    def __init__(self) -> None:
        self.size = 0
        self.over = 0

    def begin(self, loan: Loan) -> None:
        """Count a loan in."""
        self.size += loan.size
        self.over += loan.over

    def end(self, loan: Loan) -> None:
        """Count it out."""
        self.size -= loan.size
        self.over -= loan.over


class Lent(bytes):
    """A body that counts for as long as anybody holds it. A copy would not be seen; the worker makes none."""

    _loans: Loans
    _loan: Loan

    def __del__(self) -> None:
        """Nobody holds it any more."""
        self._loans.end(self._loan)


def lend(body: bytes, loans: Loans, loan: Loan) -> Lent:
    """Hand a body out."""
    lent = Lent(body)
    lent._loans, lent._loan = loans, loan  # noqa: SLF001  # bytes take no arguments of their own
    loans.begin(loan)
    return lent


class CountedArena(Arena):
    """An arena that knows how much audio lies in it."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self._samples: dict[int, int] = {}

    @property
    def audio_ms(self) -> int:
        """Of everything that was written to slots which are leased still."""
        return sum(self._samples.values()) * 1000 // SAMPLE_RATE

    def write(self, lease: Lease, wave: NDArray[np.float32]) -> None:
        """Fill a slot with ``wave``."""
        super().write(lease, wave)
        self._samples[lease.slot] = len(wave)

    def release(self, lease: Lease) -> None:
        """Give a slot back. Raises StaleLeaseError when the lease is not the one that holds it."""
        super().release(lease)
        self._samples.pop(lease.slot, None)
