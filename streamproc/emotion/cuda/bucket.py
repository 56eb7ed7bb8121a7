"""Bucket: the shape that a pass is rounded up to, so that few shapes serve all batches. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.emotion.network import Convolution, field

ALIGN = 8
"""Tokens come in multiples of it. The fused attention reads its bias 16 bytes at a time: rows of another length would
be copied before each block; and of one key more than a multiple of 32 it has made wrong numbers (pytorch#191937)."""
FINE = 32
"""From 256 tokens, some 5 s, a step of the ladder of lengths is at most this part of them: 3 % of padding at worst."""
FINE_ITEMS = 16
"""A step in the number of clips is at most this part of it: up to 31 are never rounded up."""
GRAPH_FRAMES = 3_200
"""A minute of audio. Less of it may take no longer to compute than the host takes to launch its hundreds of kernels;
with more the device never waits for the host, and a graph would only hold memory."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The padded shape of one pass."""

    items: int
    frames: int

    @property
    def small(self) -> bool:
        """Whether launching costs more than computing, so that a graph pays."""
        return self.items * self.frames <= GRAPH_FRAMES

    def samples(self, stem: Sequence[Convolution]) -> int:
        """The longest waveform that gives no more than ``frames``: one less than the next frame needs."""
        return field(self.frames + 1, stem) - 1


def bucket(items: int, longest: int, extra_tokens: int) -> Bucket:
    """The bucket of ``items`` clips, none of more than ``longest`` frames.

    Shapes that will be replayed are rounded in both dimensions. Large passes keep their number of clips: nothing is
    recorded for them, so another shape costs nothing.
    """
    tokens = _up(longest + extra_tokens, _step(longest + extra_tokens, FINE, ALIGN))
    exact = Bucket(items, tokens - extra_tokens)
    rounded = Bucket(_up(items, _step(items, FINE_ITEMS, 1)), exact.frames)
    return rounded if rounded.small else exact


def _step(size: int, parts: int, least: int) -> int:
    """The largest power of two that is at most ``size / parts``, or ``least``."""
    return max(least, 1 << max(0, (size // parts).bit_length() - 1))


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
