"""Profile: how a device likes its batches and what they cost. Measured where the network runs, used by who plans."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """A straight line through measured times: one pass takes ``pass_s + sample_s * (items * longest)``.

    Up to 15 s of audio the network's cost is nearly straight in its length; attention bends it by less than a tenth.
    """

    most_samples: int
    """Padded samples that one pass may hold; 0 where clips run alone, as they are fastest on CPU."""
    pass_s: float
    sample_s: float

    def most_items(self, longest: int) -> int:
        """How many clips of at most ``longest`` samples go into one pass."""
        return max(1, self.most_samples // max(1, longest))

    def cost(self, lengths: Sequence[int]) -> float:
        """Predicted seconds for clips of these lengths (samples)."""
        passes = split(lengths, self.most_samples)
        return sum(self.pass_s + self.sample_s * len(p) * lengths[p[-1]] for p in passes)


def split(lengths: Sequence[int], most_samples: int) -> list[list[int]]:
    """Places of the clips of each pass, shortest first, so that a pass pads as little as it can."""
    passes: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if passes and (len(passes[-1]) + 1) * lengths[place] <= most_samples:
            passes[-1].append(place)
        else:
            passes.append([place])
    return passes


def fit(most_samples: int, times: Sequence[tuple[int, float]]) -> Profile:
    """Least squares through (samples, seconds) of clips that ran alone; neither coefficient goes below 0."""
    count = len(times)
    mean_x, mean_y = sum(x for x, _ in times) / count, sum(y for _, y in times) / count
    spread = sum((x - mean_x) ** 2 for x, _ in times)
    sample_s = max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in times) / spread)
    return Profile(most_samples, max(0.0, mean_y - sample_s * mean_x), sample_s)
