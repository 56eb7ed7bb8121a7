"""Shared memory for waveforms: the main process hands out slots, a decoder fills one, the device reads it.

The memory is one anonymous file (``memfd``) that children inherit by its descriptor, so it cannot outlive the
processes and leaves nothing behind after ``kill -9``. Each slot begins with a header holding the generation of its
lease: a handle kept past its release is recognised instead of read as somebody else's audio.
"""

import fcntl
import mmap
import os
import struct
import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
SLOT_SECONDS = 15
SLOT_SAMPLES = SAMPLE_RATE * SLOT_SECONDS
_HEADER = struct.Struct("<QQ")  # generation, samples
_ALIGN = 64  # one cache line, so that two children never share one at a slot's edge
_SLOT_BYTES = -(-(_HEADER.size + SLOT_SAMPLES * 4) // _ALIGN) * _ALIGN


class Lease(NamedTuple):
    """The right to one slot until it is released."""

    slot: int
    generation: int


class StaleLeaseError(Exception):
    """Raised when a slot no longer belongs to the lease that is presented."""


class ArenaMap:
    """One process's view of the arena; made from the inherited descriptor in children."""

    def __init__(self, descriptor: int, slots: int) -> None:
        self.descriptor = descriptor
        self.slots = slots
        self._memory = mmap.mmap(descriptor, slots * _SLOT_BYTES)

    def write(self, lease: Lease, wave: NDArray[np.float32]) -> None:
        """Fill a slot with ``wave`` (1-D float32, at most ``SLOT_SAMPLES``)."""
        if wave.ndim != 1 or len(wave) > SLOT_SAMPLES:
            msg = f"a slot holds one channel of at most {SLOT_SAMPLES} samples, not {wave.shape}"
            raise ValueError(msg)
        start = lease.slot * _SLOT_BYTES
        target = np.frombuffer(self._memory, np.float32, len(wave), start + _HEADER.size)
        target[:] = wave
        # The header goes last: a writer that dies half way leaves the old generation, which readers refuse.
        _HEADER.pack_into(self._memory, start, lease.generation, len(wave))

    def read(self, lease: Lease) -> NDArray[np.float32]:
        """Copy a slot's samples out. Raises StaleLeaseError when the slot was given to somebody else."""
        start = lease.slot * _SLOT_BYTES
        generation, samples = _HEADER.unpack_from(self._memory, start)
        if generation != lease.generation or samples > SLOT_SAMPLES:
            msg = f"slot {lease.slot} holds generation {generation}, not {lease.generation}"
            raise StaleLeaseError(msg)
        return np.frombuffer(self._memory, np.float32, samples, start + _HEADER.size).copy()

    def close(self) -> None:
        """Unmap; the descriptor stays with its owner."""
        self._memory.close()


class Arena(ArenaMap):
    """The owner's side: creates the memory and leases its slots, each to one holder at a time."""

    def __init__(self, slots: int) -> None:
        descriptor = os.memfd_create("streamproc-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # Pages are taken only when touched: an arena costs as much as ever was in flight at once.
        os.ftruncate(descriptor, slots * _SLOT_BYTES)
        # Memory that a child cut off would end whoever reads it next, with SIGBUS.
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self._drop = weakref.finalize(self, os.close, descriptor)
        """Also of an arena that nobody closes: its owner may never have begun."""
        super().__init__(descriptor, slots)
        self._free = list(reversed(range(slots)))  # a stack: the slot used last is in memory already
        self._generations = [0] * slots
        self._held: set[int] = set()

    @property
    def free(self) -> int:
        """Slots that can be leased now."""
        return len(self._free)

    def lease(self) -> Lease | None:
        """Take a slot, or None when all are out."""
        if not self._free:
            return None
        slot = self._free.pop()
        self._generations[slot] += 1
        self._held.add(slot)
        return Lease(slot, self._generations[slot])

    def release(self, lease: Lease) -> None:
        """Give a slot back. Raises StaleLeaseError when the lease is not the one that holds it."""
        if lease.slot not in self._held or self._generations[lease.slot] != lease.generation:
            msg = f"lease {lease} does not hold its slot"
            raise StaleLeaseError(msg)
        self._held.discard(lease.slot)
        self._free.append(lease.slot)

    def close(self) -> None:
        """Unmap and drop the memory."""
        super().close()
        self._drop()
