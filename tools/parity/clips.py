"""What is compared: voices of many lengths, the lengths where something in the graph turns, and sound of no voice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.arena import SAMPLE_RATE
from streamproc.bench.waves import voice
from streamproc.emotion.engine import Wave
from streamproc.emotion.network import BIAS_ENTRIES, field
from streamproc.emotion.runner import STEM_FRAMES

Make = Callable[[int, np.random.Generator], Wave]

SHORTEST = field(1)
LONGEST_DRAWN_S = 6.0
"""Half of what a batch costs is its longest clip, so few are longer than this, and those are named."""
LONGEST_S = 60.0
LONG_S = (15.0, 45.0, LONGEST_S)
EXTRA_TOKENS = 10


def _square(samples: int, random: np.random.Generator) -> Wave:
    period = random.uniform(40, 200)
    return np.where(np.arange(samples) % period < period / 2, 1, -1).astype(np.float32)


def _impulse(samples: int, random: np.random.Generator) -> Wave:
    wave = np.zeros(samples, np.float32)
    wave[random.integers(samples)] = 1
    return wave


KINDS: Mapping[str, Make] = {
    "voice": voice,
    "silence": lambda samples, _: np.zeros(samples, np.float32),
    "constant": lambda samples, _: np.full(samples, 0.3, np.float32),
    "square at full scale": _square,
    "clipped voice": lambda samples, random: np.clip(20 * voice(samples, random), -1, 1),
    "noise of 1e-6": lambda samples, random: (1e-6 * random.normal(size=samples)).astype(np.float32),
    "voice on an offset": lambda samples, random: 0.6 + 0.01 * voice(samples, random),
    "impulse": _impulse,
}


@dataclass(frozen=True, slots=True)
class Clip:
    """A waveform to be made when it is needed."""

    number: int
    kind: str
    samples: int

    def wave(self, seed: int) -> Wave:
        """1-D float32 at 16 kHz, the same for the same seed."""
        made = KINDS[self.kind](self.samples, np.random.default_rng((seed, self.number)))
        return made.astype(np.float32)

    def __str__(self) -> str:
        return f"{self.kind}, {self.samples:,} samples"


def choose(count: int, seed: int, longest_s: float = LONGEST_S) -> Sequence[Clip]:
    """``count`` clips: the edges up to ``longest_s``, and the rest voices of lengths drawn log-uniformly.

    The edges alone may be more than ``count``; then there are no others.
    """
    edges = [(kind, samples) for kind, samples in _edges() if samples <= longest_s * SAMPLE_RATE]
    most = min(longest_s, LONGEST_DRAWN_S) * SAMPLE_RATE
    random = np.random.default_rng(seed)
    drawn = np.exp(random.uniform(np.log(SHORTEST), np.log(most), max(0, count - len(edges))))
    chosen = edges + [("voice", max(SHORTEST, int(samples))) for samples in drawn]
    return [Clip(number, kind, samples) for number, (kind, samples) in enumerate(chosen)]


def _edges() -> Iterator[tuple[str, int]]:
    for samples in sorted(_turns()):
        yield "voice", samples
    for samples in (SHORTEST, SAMPLE_RATE // 2, 2 * SAMPLE_RATE):
        yield from ((kind, samples) for kind in KINDS if kind != "voice")
    for seconds in LONG_S:
        yield "voice", int(seconds * SAMPLE_RATE)


def _turns() -> set[int]:
    """Lengths around which a frame more is made, the stem begins another span, or attention another run of rows."""
    rows = int(BIAS_ENTRIES**0.5) - EXTRA_TOKENS
    found = {SHORTEST, SHORTEST + 1}
    for count in (2, 3, 50, 250):
        found |= {field(count) - 1, field(count), field(count) + 1}
    for hop in (50, 150):
        found |= {320 * hop - 1, 320 * hop, 320 * hop + 1}
    for count in (rows, STEM_FRAMES):
        found |= {field(count), field(count + 1)}
    return found
