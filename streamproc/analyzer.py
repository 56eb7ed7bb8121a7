"""Analyzer: what turns segments into values, and all that the device process knows of it. docs/analyzers.md has one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE
from streamproc.errors import Fatal, FatalError
from streamproc.records.compute import ItemError, Scored
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile, Trial, bend, fit

Wave = NDArray[np.float32]
"""A segment: 1-D, 16 kHz, one channel, at most 15 s; a worker sends none under 25 ms."""
MOST_LABELS = 64
MOST_WORDS = 200
"""Characters of an ItemError's message that go on: it travels in a header of the dead letter."""
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
    """0 means all cores that there are for it (``cores``)."""
    max_batch_seconds: float
    weights: str = "fastest"
    """How they are to lie in memory: fastest, or mapped, which processes of one host share."""


class Analyzer(Protocol):
    """One loaded analyzer, used by one thread. ``streamproc.testing.analyzer`` checks what is promised here."""

    @property
    def identity(self) -> ModelIdentity:
        """What it is, of at most 64 labels. Whatever can change a number is in it: equal ones share their results.

        ``embed_dim`` says that each value has an embedding, of so many numbers, at most ``MOST_DIM``.
        """
        ...

    @property
    def profile(self) -> Profile:
        """What batches it likes, and what they cost. Read once, before any batch: whoever warms up does it here."""
        ...

    def run(self, batch: Sequence[Wave], /) -> Sequence[Scored | ItemError]:
        """One value or one error per segment, in order; whatever shares its batch, a segment's value is its own.

        The embedding of a segment goes no further unless an event asks for it.
        Never raises for an item. What it raises ends the process, which is replaced; the batch runs again.
        """
        ...


Factory = Callable[[AnalyzerOptions], Analyzer]
"""Makes one, or raises UsageError for options that it cannot serve: then the worker ends and says so."""


def measure(run: Callable[[Wave], object], most_samples: int = 0) -> Profile:
    """Warm up, and fit a profile to the best of a few runs of a few lengths, alone. Raises FatalError as ``trial``."""

    def alone(wave: Wave) -> Sequence[object]:
        return [run(wave)]

    trials = [trial(alone, 1, seconds) for seconds in (*TRIAL_SECONDS[-1:], *TRIAL_SECONDS)]
    return fit(most_samples, trials[1:], bend(trials[-2], trials[-1]))  # the first, longest one is the warm-up


def trial(run: Callable[[Wave], Sequence[object]], items: int, seconds: float, enough_s: float = 0.0) -> Trial:
    """Time (``best``) a run of ``items`` clips of so many seconds; it gets the wave that all of them are.

    Raises FatalError where one of them ends as an ItemError: who computes nothing now would make a dead letter of each
    recording.
    """
    wave = noise(int(seconds * SAMPLE_RATE))

    def timed() -> float:
        start = time.perf_counter()
        found = run(wave)
        taken = time.perf_counter() - start
        for end in found:
            if isinstance(end, ItemError):
                raise FatalError(f"{seconds:g} s of noise cannot be computed: {end.message}", Fatal.DEVICE_FAILS)
        return taken

    return Trial(items, len(wave), best(timed, enough_s))


def best(run: Callable[[], float], enough_s: float = 0.0) -> float:
    """The least of a few, or of as many as take ``enough_s``: whatever else the machine does only adds."""
    found = [run() for _ in range(TRIALS)]
    while sum(found) < enough_s:
        found.append(run())
    return min(found)


def noise(samples: int) -> Wave:
    """A sound that every network has scores for; not silence: accelerators multiply zeros faster."""
    return np.random.default_rng(0).standard_normal(samples, np.float32)
