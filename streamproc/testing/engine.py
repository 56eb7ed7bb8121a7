"""An engine whose numbers are the first samples of each waveform, and that some waveforms break."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from streamproc.emotion.engine import Passed, Wave

HEAD = 4
"""How many samples a waveform's numbers are."""
POISON: Mapping[str, float] = MappingProxyType({"raises": -1.0, "spoils": -2.0})
"""First samples of the waveforms that make a pass raise, or make numbers of it that are not finite."""


class FakeEngine:
    """Satisfies ``emotion.engine.Engine``. A waveform with a first sample of ``POISON`` breaks every pass it is in.

    ``most_samples``  padded samples that one pass may hold
    ``passes``        how many were run
    """

    min_samples = 400

    def __init__(self, most_samples: int = 10**9) -> None:
        self.most_samples = most_samples
        self.passes = 0

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        """One pass. Raises RuntimeError where a waveform says so."""
        self.passes += 1
        heads = np.stack([wave[:HEAD] for wave in waves])
        if (heads[:, 0] == POISON["raises"]).any():
            raise RuntimeError("a kernel failed")
        if (heads[:, 0] == POISON["spoils"]).any():
            heads += np.float32(np.nan)
        return Passed(heads, heads, [wave[None] for wave in waves] if frames else [])
