"""Profile: how a device likes its batches and what they cost. Measured where the network runs, used by who plans."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.arena import SLOT_SAMPLES

MOST_PADDING = 0.06
"""The share of a pass that may be padding. It holds for each pass, so it holds for any traffic.

Under 8 % is what we promise; a device that rounds shapes up takes what is left of it.
"""


PASSES = 3
"""Full passes' worth of clips in a compute batch."""
KNEE_SAMPLES = SLOT_SAMPLES
"""A segment's most samples. Longer clips, which no worker has, outgrow caches, and attention runs in spans."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A curve through measured times.

    ``items`` clips of at most ``longest`` samples run together take ``pass_s + items * longest * rate``, with
    ``rate = sample_s + square_s * longest + late_s * max(0, longest - KNEE_SAMPLES)``.
    """

    most_samples: int
    """Padded samples that one pass may hold; 0 where clips run alone, as they are fastest on CPU."""
    pass_s: float
    sample_s: float
    square_s: float
    late_s: float = 0.0

    def most_items(self, longest: int) -> int:
        """How many clips of at most ``longest`` samples go into one pass."""
        return most_items(longest, self.most_samples)

    def batch_items(self, longest: int) -> int:
        """How many clips of at most ``longest`` samples a compute batch should hold; one where clips run alone.

        Lengths differ, so a batch is cut (``split``): one of a single pass's worth would give two that are half full.
        """
        return PASSES * self.most_items(longest) if self.most_samples else 1

    def cost(self, lengths: Sequence[int]) -> float:
        """Predicted seconds for clips of these lengths (samples)."""
        passes = ((len(places), lengths[places[-1]]) for places in split(lengths, self.most_samples))
        return sum(
            self.pass_s + items * longest * (self.sample_s + _bent(longest, self.square_s, self.late_s))
            for items, longest in passes
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One timed pass of ``items`` clips of ``samples`` each."""

    items: int
    samples: int
    seconds: float

    @property
    def rate(self) -> float:
        """Seconds for each sample."""
        return self.seconds / (self.items * self.samples)


def most_items(longest: int, most_samples: int) -> int:
    """How many clips of at most ``longest`` samples one pass of ``most_samples`` holds; one always runs."""
    return max(1, most_samples // max(1, longest))


def split(lengths: Sequence[int], most_samples: int) -> list[list[int]]:
    """Places of the clips of each pass, shortest first. A pass holds one clip, or keeps to both limits.

    The limits are ``most_samples``, padding counted, and ``MOST_PADDING``. Clips of length 0 count as one sample.
    """
    passes: list[list[int]] = []
    real = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        longest = max(1, lengths[place])
        padded = (len(passes[-1]) + 1) * longest if passes else 0
        if passes and padded <= most_samples and real + longest >= (1 - MOST_PADDING) * padded:
            passes[-1].append(place)
            real += longest
        else:
            passes.append([place])
            real = longest
    return passes


def fit(most_samples: int, trials: Sequence[Trial], square_s: float, late_s: float = 0.0) -> Profile:
    """Least squares through timed passes of two sizes at least, less what bends; nothing goes below 0."""
    xs = [trial.items * trial.samples for trial in trials]
    ys = [trial.seconds - x * _bent(trial.samples, square_s, late_s) for x, trial in zip(xs, trials, strict=True)]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    sample_s = max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread)
    return Profile(most_samples, max(0.0, mean_y - sample_s * mean_x), sample_s, square_s, late_s)


def bend(short: Trial, long: Trial) -> float:
    """How much of a sample's time each further sample of its clip adds (s), from what two lengths take; not below 0."""
    return max(0.0, (long.rate - short.rate) / (long.samples - short.samples))


def bends(short: Trial, knee: Trial, long: Trial) -> tuple[float, float]:
    """``square_s`` and ``late_s`` from what clips of three lengths take, the middle one ``KNEE_SAMPLES``."""
    early = bend(short, knee)
    return early, max(0.0, bend(knee, long) - early)


def _bent(samples: int, square_s: float, late_s: float) -> float:
    return square_s * samples + late_s * max(0, samples - KNEE_SAMPLES)
