"""Sound made in code: the same on every machine, of mixed lengths."""

import io
import wave
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE

Wave = NDArray[np.float32]

_FULL_SCALE = 32_767


def make_waves(count: int, seed: int, shortest_s: float, longest_s: float) -> Sequence[Wave]:
    """Waveforms, 1-D float32 at 16 kHz; the logarithms of their lengths are spread evenly at random."""
    random = np.random.default_rng(seed)
    seconds = np.exp(random.uniform(np.log(shortest_s), np.log(longest_s), count))
    return [voice(int(length * SAMPLE_RATE), random) for length in seconds]


def voice(samples: int, random: np.random.Generator) -> Wave:
    """Harmonics of a pitch and some noise, under an envelope of the speed of syllables."""
    t = np.arange(samples) / SAMPLE_RATE
    pitch = random.uniform(90, 290)
    harmonics = np.arange(1, 9)[:, None]
    voice = (random.uniform(size=(8, 1)) / harmonics * np.sin(2 * np.pi * pitch * harmonics * t)).sum(0)
    envelope = (0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(2, 5) * t)) ** 2
    sound = 0.2 * envelope * (voice + 0.3 * random.normal(size=samples))
    made: Wave = np.clip(sound, -1, 1).astype(np.float32)
    return made


def seconds_of(waves: Sequence[Wave]) -> float:
    """Length of all of them together."""
    return sum(map(len, waves)) / SAMPLE_RATE


def to_wav(samples: Wave) -> bytes:
    """The same as a WAV file, 16 bit, mono."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * _FULL_SCALE).astype("<i2").tobytes())
    return out.getvalue()
