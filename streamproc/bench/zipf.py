"""Which recording each event announces where some are heard again and again and most are not. Pure."""

from collections.abc import Sequence

import numpy as np


def draws(recordings: int, events: int, exponent: float, seed: int) -> Sequence[int]:
    """For each event the number of a recording, 0 the one that is heard most often.

    Zipf's law over a fixed number: the recording of rank r has a share proportional to ``r ** -exponent``.
    """
    weights = np.arange(1, recordings + 1, dtype=np.float64) ** -exponent
    found: list[int] = np.random.default_rng(seed).choice(recordings, events, p=weights / weights.sum()).tolist()
    return found
