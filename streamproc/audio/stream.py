"""An opened recording, whichever decoder reads it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_SAMPLES = 65_536
"""Samples of a block, all channels together: 256 KiB, so the cost of a block does not show and memory stays small."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Header and samples. ``blocks`` yields (n, channels) float32 at ``sample_rate``, once.

    ``frames`` is what the header declares, None where it declares nothing; ``short_by`` is how many frames fewer may
    come before the recording counts as cut, None where the header is only an estimate.
    """

    sample_rate: int
    channel_count: int
    codec: str
    frames: int | None
    short_by: int | None
    blocks: Iterator[NDArray[np.float32]]
