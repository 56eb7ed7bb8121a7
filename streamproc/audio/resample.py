"""Any rate -> 16 kHz by soxr HQ, in blocks. The stream gives the very samples that one call on the whole would."""

from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE


class Resampler:
    """One recording's resampler; (n, tracks) float32 in and out. 16 kHz passes untouched."""

    def __init__(self, sample_rate: int, tracks: int) -> None:
        self._tracks = tracks
        self._stream: Any = (
            None
            if sample_rate == SAMPLE_RATE
            else soxr.ResampleStream(sample_rate, SAMPLE_RATE, tracks, dtype="float32", quality="HQ")
        )

    def feed(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """What can be given so far; some of a block stays inside the filter."""
        if self._stream is None:
            return block
        samples: NDArray[np.float32] = self._stream.resample_chunk(block)
        return samples

    def finish(self) -> NDArray[np.float32]:
        """What was still inside."""
        nothing = np.empty((0, self._tracks), np.float32)
        if self._stream is None:
            return nothing
        samples: NDArray[np.float32] = self._stream.resample_chunk(nothing, last=True)
        return samples
