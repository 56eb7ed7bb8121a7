"""Sound that the voice detector takes for speech, made in code: what ``waves`` makes of harmonics it does not."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE
from streamproc.audio.stream import BLOCK_SAMPLES, Stream
from streamproc.bench.waves import Wave

SEED = 3
PITCH_HZ = 120.0
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""The first three formants of five vowels, Hz."""
HIGHER = (3500, 4500)
WIDTHS = (60, 90, 120, 150, 200)
"""Of the five formants, Hz."""
SYLLABLE = SAMPLE_RATE // 5
RINGING = 1200
HUSH = 1e-4
"""How loud a pause is."""
PARTS_S = ((9.0, 0.7), (21.0, 1.0), (4.0, 2.3), (13.0, 0.3), (8.0, 0.7))
"""Seconds of speech and of the pause behind it: a minute in which a segment is cut by pauses and at its limit."""


def call(seconds: float) -> Stream:
    """A recording of any length, 16 kHz, mono: that minute again and again. It never stands in memory whole."""
    samples = round(seconds * SAMPLE_RATE)
    return Stream(SAMPLE_RATE, 1, "made", samples, 0, _blocks(minute(), samples))


def talk(samples: int) -> Wave:
    """The same in memory."""
    return np.resize(minute(), samples)


def minute() -> Wave:
    """What is repeated, 1-D float32."""
    random = np.random.default_rng(SEED)
    pieces = []
    for speech, pause in PARTS_S:
        pieces += [spoken(round(speech * SAMPLE_RATE), random), HUSH * random.normal(size=round(pause * SAMPLE_RATE))]
    return np.concatenate(pieces).astype(np.float32)


def spoken(samples: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Pulses of a gliding pitch through formants, in syllables that begin as consonants do."""
    pitch = PITCH_HZ * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * np.arange(samples) / SAMPLE_RATE))
    pulses = np.diff(np.floor(np.cumsum(pitch) / SAMPLE_RATE), prepend=0)
    source = np.diff(np.convolve(pulses, 0.95 ** np.arange(200))[:samples], prepend=0)
    source += 0.02 * random.standard_normal(samples)
    wave, at = np.zeros(samples), 0
    while at < samples:
        end = min(samples, at + int(SYLLABLE * random.uniform(0.7, 1.4)))
        wave[at:end] = _syllable(source[at:end].copy(), random)
        at = end
    wave *= 0.5 / np.abs(wave).max()
    return wave


def _syllable(sound: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    consonant, samples = len(sound) // 4, len(sound)
    sound[:consonant] *= 0.1
    t = np.arange(RINGING) / SAMPLE_RATE
    for formant, width in zip((*VOWELS[random.integers(len(VOWELS))], *HIGHER), WIDTHS, strict=True):
        ringing = np.exp(-np.pi * width * t) * np.sin(2 * np.pi * formant * t)
        sound = np.convolve(sound, ringing / ringing.sum())[:samples]
    sound[:consonant] += 0.02 * np.diff(random.standard_normal(consonant + 1))
    return sound


def _blocks(piece: Wave, samples: int) -> Iterator[NDArray[np.float32]]:
    for at in range(0, samples, BLOCK_SAMPLES):
        places = np.arange(at, min(at + BLOCK_SAMPLES, samples)) % len(piece)
        yield piece[places, None]
