"""Berth: where one pass lies from the moment its waveforms are packed until its results are taken.

An engine has several: while the device computes the pass of one, the host fills another.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamproc.emotion.engine import Wave

GROWTH = 1.25
"""Room beyond what is needed, so that a slightly larger pass finds it."""


class Berth(Protocol):
    """Memory of the host and of the device for one pass, and the transfers between them."""

    def room(self, size: int) -> NDArray[np.uint8]:
        """At least ``size`` bytes of the host to pack into. The pass that was here before must have been taken."""
        ...

    def send(self, used: int) -> Tensor:
        """The first ``used`` bytes, on the device; whatever is launched from now on finds them there."""
        ...

    def receive(self, found: Tensor) -> None:
        """Begin to bring [rows, numbers] back; it need not be computed yet."""
        ...

    def ready(self) -> bool:
        """Whether ``take`` would not wait."""
        ...

    def take(self) -> Wave:
        """What ``receive`` began to bring, as a copy of its own; waits for the device, once."""
        ...


class PinnedBerth:
    """Pages that cannot be swapped, which alone the device reads by itself, and a stream that copies beside the rest.

    Whoever calls computes on the stream that is current, always the same one.
    """

    def __init__(self, copies: torch.cuda.Stream) -> None:
        self._copies = copies
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch left it without types
        # Whoever waits for it sleeps: the decoders need the cores.
        self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch left it without types
        self._host = torch.empty(0, dtype=torch.uint8)
        self._device = torch.empty(0, dtype=torch.uint8)
        self._found = self._rows = torch.empty(0)

    def room(self, size: int) -> NDArray[np.uint8]:
        """As ``Berth`` has it."""
        if len(self._host) < size:
            self._host = torch.empty(int(size * GROWTH), dtype=torch.uint8, pin_memory=True)
            self._device = torch.empty(len(self._host), dtype=torch.uint8, device="cuda")
            # The allocator hands out memory in the order of the stream that asks: until its launches so far are
            # through, some of them may still use what we were given. The other stream has to wait for that.
            self._copies.wait_stream(torch.cuda.current_stream())
        return self._host.numpy()

    def send(self, used: int) -> Tensor:
        """As ``Berth`` has it."""
        with torch.cuda.stream(self._copies):
            self._device[:used].copy_(self._host[:used], non_blocking=True)
            self._copied.record()
        self._copied.wait()
        return self._device[:used]

    def receive(self, found: Tensor) -> None:
        """As ``Berth`` has it."""
        if self._found.numel() < found.numel():
            self._found = torch.empty(int(found.numel() * GROWTH), pin_memory=True)
        self._rows = self._found[: found.numel()].view(found.shape)
        self._rows.copy_(found, non_blocking=True)
        self._done.record()

    def ready(self) -> bool:
        """As ``Berth`` has it."""
        return bool(self._done.query())  # type: ignore[no-untyped-call]  # torch left it without types

    def take(self) -> Wave:
        """As ``Berth`` has it."""
        self._done.synchronize()
        taken: Wave = self._rows.numpy().copy()
        return taken
