"""Analyzer: what turns segments into values, and all that the device process knows of it. docs/analyzers.md has one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE
from streamproc.records.compute import ItemError
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile, Trial, bend, fit

Wave = NDArray[np.float32]
"""A segment: 1-D, 16 kHz, one channel, at most 15 s; a worker sends none under 25 ms."""
Scores = tuple[float, ...]
"""Shares of the labels, in the order of ``ModelIdentity.labels``; they sum to 1."""
TRIAL_SECONDS = (0.5, 2.0, 6.0)
TRIALS = 2


@dataclass(frozen=True, slots=True)
class AnalyzerOptions:
    """What one is made from: the section ``model`` of the settings."""

    model: str
    """``name_or_dir``, as a path."""
    device: str
    precision: str
    threads: int
    """0 means all cores."""
    max_batch_seconds: float


class Analyzer(Protocol):
    """One loaded analyzer, used by one thread. ``streamproc.testing.analyzer`` checks what is promised here."""

    @property
    def identity(self) -> ModelIdentity:
        """What it is. Whatever can change a number is in it, since results of equal identities are shared."""
        ...

    @property
    def profile(self) -> Profile:
        """What batches it likes, and what they cost. Read once, before any batch: whoever warms up does it here."""
        ...

    def run(self, batch: Sequence[Wave], /) -> Sequence[Scores | ItemError]:
        """One value or one error per segment, in order; whatever shares its batch, a segment's value is its own.

        Never raises for an item. What it raises ends the process, which is replaced; the batch runs again.
        """
        ...


Factory = Callable[[AnalyzerOptions], Analyzer]
"""Makes one, or raises UsageError for options that it cannot serve: then the worker ends and says so."""


def measure(run: Callable[[Wave], object], most_samples: int = 0) -> Profile:
    """Warm up, and fit a profile to the best of a few runs of a few lengths, alone."""
    trials = []
    for seconds in (*TRIAL_SECONDS[-1:], *TRIAL_SECONDS):  # the first, longest one is the warm-up
        wave = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
        trials.append(Trial(1, len(wave), min(_seconds(run, wave) for _ in range(TRIALS))))
    return fit(most_samples, trials[1:], bend(trials[-2], trials[-1]))


def _seconds(run: Callable[[Wave], object], wave: Wave) -> float:
    start = time.perf_counter()
    run(wave)
    return time.perf_counter() - start
