"""Engine: what runs the network on a device, as a model sees it. Free of torch."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
UNDER_WAY = 2
"""Batches that a device process has at once: one that is computed and one that waits, as the worker sends them.

Each of them has one pass launched, and the one that is taken has a second: ``UNDER_WAY + 1`` in all.
"""


class Passed(NamedTuple):
    """What one pass gives for n waveforms."""

    embeddings: Wave
    """[n, embed_dim]."""
    logits: Wave
    """[n, classes]."""
    frames: Sequence[Wave]
    """[frames, embed_dim] of each waveform, 50 to the second; empty unless they were asked for."""


class Engine(Protocol):
    """The network on its device."""

    most_samples: int
    """Padded samples that one pass may hold; 0 where waveforms run alone."""
    min_samples: int
    """What one frame takes."""

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        """One pass over 1-D waveforms of at least ``min_samples``.

        Raises MemoryError when the device has no room for it, FatalError when the device cannot go on. RuntimeError,
        ValueError or ArithmeticError is taken for the fault of one of the waveforms.
        """
        ...


@runtime_checkable
class Lone(Engine, Protocol):
    """An engine in which waveforms run alone, so that a pass of a long one takes long: one block stands for it."""

    def blocks_s(self, samples: int) -> float:
        """Seconds that the network's blocks take for one clip, from a run of one of them."""
        ...


@runtime_checkable
class Choosing(Engine, Protocol):
    """An engine that timed this machine before it took one of several ways to equal numbers."""

    choices: Sequence[object]
    """What was chosen, and from what, as texts tell it."""


class Running(Protocol):
    """A pass that was launched. It has to be taken."""

    def ready(self) -> bool:
        """Whether ``take`` would not wait."""
        ...

    def take(self) -> Passed:
        """What ``run`` would have given; waits for it. Raises FatalError when the device cannot go on."""
        ...


@runtime_checkable
class Launching(Engine, Protocol):
    """An engine that computes while the host prepares and launches what comes next."""

    def submit(self, waves: Sequence[Wave], *, frames: bool = False) -> Running:
        """``run`` without the wait.

        Raises what ``run`` does; FatalError, too, when more than ``UNDER_WAY + 1`` passes are not taken, which is no
        waveform's fault.
        """
        ...
