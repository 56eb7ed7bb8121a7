"""Engine: what runs the network on a device, as a model sees it. Free of torch."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]


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
        """One pass over 1-D waveforms of at least ``min_samples``."""
        ...
