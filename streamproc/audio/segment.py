"""16 kHz samples of one channel -> segments of at most 15 s.

- A channel of at most 15 s is one segment, whole, and counts as speech throughout: it is what the reference model
  would be given. Unless it is silent: RMS under -60 dBFS in every 100 ms.
- A longer one is cut where nobody speaks (``cut``), and what is not speech is dropped.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE, SLOT_SAMPLES
from streamproc.audio.cut import Cutter, Span
from streamproc.audio.voice import WINDOW, Voice

LEAST_SAMPLES = 400
"""25 ms: the network's first convolutions see nothing in less."""
SILENT_RMS = 10 ** (-60 / 20)
SILENCE_WINDOW = SAMPLE_RATE // 10
_PIECE = 10 * SILENCE_WINDOW
FLOOR_DBFS = -120.0


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """``wave`` is 1-D float32; ``start``, ``end`` and ``speech`` are samples at 16 kHz. Channel -1 is the mix."""

    channel: int
    start: int
    end: int
    speech: int
    wave: NDArray[np.float32]

    @property
    def level_dbfs(self) -> float:
        """RMS against full scale, -120 at least."""
        rms = math.sqrt(float(np.mean(np.square(self.wave, dtype=np.float64))))
        return max(FLOOR_DBFS, 20 * math.log10(rms)) if rms else FLOOR_DBFS


def is_silent(wave: NDArray[np.float32]) -> bool:
    """Whether every 100 ms (the rest at the end too) has an RMS under -60 dBFS."""
    # Looked at piece by piece: what is not silent mostly shows it in the first.
    return all(_is_silent(wave[at : at + _PIECE]) for at in range(0, len(wave), _PIECE))


def _is_silent(piece: NDArray[np.float32]) -> bool:
    squares = np.square(piece, dtype=np.float64)
    starts = np.arange(0, len(piece), SILENCE_WINDOW)
    counts = np.diff(np.append(starts, len(piece)))
    return bool((np.add.reduceat(squares, starts) / counts < SILENT_RMS**2).all())


class Segmenter:
    """One channel. Holds at most some 16 s of it, whatever its length."""

    def __init__(self, channel: int, session: Any) -> None:
        self._channel = channel
        self._session = session
        self._voice: Voice | None = None  # None while the channel may still turn out to be one whole segment
        self._cutter = Cutter()
        self._held = np.empty(0, np.float32)
        self._base = 0  # where in the channel ``_held`` begins
        self._heard = 0  # up to where the cutter knows it

    @property
    def earliest(self) -> int:
        """No later segment begins before this sample."""
        return self._cutter.earliest * WINDOW

    def feed(self, wave: NDArray[np.float32]) -> Iterator[Segment]:
        """Take the next samples (1-D float32); yield the segments that they end."""
        # What comes first is kept as it came: mostly it is all there is.
        self._held = np.concatenate([self._held, wave]) if len(self._held) else np.ascontiguousarray(wave)
        if self._voice is None and self._base + len(self._held) <= SLOT_SAMPLES:
            return
        whole = len(self._held) - (self._heard - self._base)
        yield from self._hear(whole // WINDOW * WINDOW)

    def finish(self) -> Iterator[Segment]:
        """End of the channel; yield what was open."""
        if self._voice is None:
            if len(self._held) >= LEAST_SAMPLES and not is_silent(self._held):
                yield Segment(self._channel, 0, len(self._held), len(self._held), self._held)
            return
        total = self._base + len(self._held)
        rest = total - self._heard
        if rest:
            self._held = np.concatenate([self._held, np.zeros(WINDOW - rest, np.float32)])
            yield from self._hear(WINDOW, total)
        if span := self._cutter.finish():
            yield self._segment(span, total)

    def _hear(self, samples: int, total: int | None = None) -> Iterator[Segment]:
        """Listen to the next ``samples``, a multiple of the window."""
        if not samples:
            return
        voice = self._voice = self._voice or Voice(self._session)
        start = self._heard - self._base
        windows = self._held[start : start + samples].reshape(-1, WINDOW)
        self._heard += samples
        for voiced in voice.hear(windows):
            if span := self._cutter.push(voiced=voiced):
                yield self._segment(span, total)
        drop = max(0, self.earliest - self._base)
        self._held = self._held[drop:].copy()
        self._base += drop

    def _segment(self, span: Span, total: int | None) -> Segment:
        start, end = span.start * WINDOW, span.end * WINDOW
        end = end if total is None else min(end, total)
        wave = self._held[start - self._base : end - self._base].copy()
        return Segment(self._channel, start, end, min(span.voiced * WINDOW, end - start), wave)
