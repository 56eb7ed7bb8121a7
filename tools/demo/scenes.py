"""What the demo's recordings contain: a sentence, a monologue, a dialogue. Arrays are [samples, channels], 16 kHz."""

from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from tools.demo.speech import EMOTIONS, HELD_OUT, SAMPLE_RATE, Line, Waveform, speak

Sound = NDArray[np.float32]

_PAUSE_S = (0.4, 1.2)


class Studio:
    """Voices and sentences that the demo network has not heard, drawn by seed."""

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)

    def sentence(self, emotion: str) -> Sound:
        """One sentence by one voice."""
        (voice,) = self._voices(1)
        return self._say(emotion, voice)[:, None]

    def cut(self, emotion: str, seconds: float) -> Sound:
        """A stretch out of the middle of a sentence."""
        (voice,) = self._voices(1)
        wave = self._say(emotion, voice)
        start = len(wave) // 3
        return wave[start : start + round(seconds * SAMPLE_RATE), None]

    def duet(self, left: str, right: str) -> Sound:
        """Two voices, one on each channel, the right one beginning when the left one ends."""
        first, second = self._voices(2)
        turns = [self._say(left, first), self._say(right, second)]
        sound = np.zeros((sum(map(len, turns)), 2), np.float32)
        sound[: len(turns[0]), 0] = turns[0]
        sound[len(turns[0]) :, 1] = turns[1]
        return sound

    def talk(self, seconds: float, speakers: int = 1) -> Sound:
        """Sentences of changing emotion with pauses, each speaker on a channel; quiet after the last whole one."""
        sound = np.zeros((round(seconds * SAMPLE_RATE), speakers), np.float32)
        voices = self._voices(speakers)
        at = 0
        for emotion, channel in zip(cycle(EMOTIONS), cycle(range(speakers)), strict=False):
            wave = self._say(emotion, voices[channel])
            if at + len(wave) > len(sound):
                break
            sound[at : at + len(wave), channel] = wave
            at += len(wave) + round(self._draw.uniform(*_PAUSE_S) * SAMPLE_RATE)
        return sound

    def _voices(self, count: int) -> list[str]:
        """So many, no two with one variant: that is what tells man from woman."""
        variants = self._draw.choice(HELD_OUT.variants, count, replace=False)
        return [f"{self._draw.choice(HELD_OUT.accents)}+{variant}" for variant in variants]

    def _say(self, emotion: str, voice: str) -> Waveform:
        return speak(Line(emotion, voice, str(self._draw.choice(HELD_OUT.texts)), int(self._draw.integers(1 << 31))))
