"""Speech for the demo, spoken by espeak-ng with a prosody that differs by emotion.

What is synthesised here are recipes, not feelings: a network that tells them apart knows these recipes and nothing of
people. Equal lines give equal samples, bit for bit, with one version of espeak-ng.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

Waveform = NDArray[np.float32]
Range = tuple[float, float]

SAMPLE_RATE = 16_000
RMS = 0.05
"""Loudness of every clip: -26 dBFS, telephony's usual level, so that loudness tells nothing and peaks stay below 1."""

_UP, _DOWN = 320, 441  # espeak-ng speaks at 22,050 Hz
_WAV_HEADER = 44
_FLOOR_HZ = 50.0  # the tilt stops here: below it there is no speech, and log2(0) is no number


@dataclass(frozen=True, slots=True)
class Prosody:
    """How one emotion is spoken; each range is drawn from evenly, once a line."""

    words_per_minute: Range
    pitch: Range
    """Per cent of the voice's own."""
    pitch_range: Range
    """Per cent of the voice's own."""
    tilt: Range
    """Slope of the spectrum in dB per octave around 1 kHz."""
    end: str = "."
    drive: float = 0.0
    """Soft clipping: the waveform at RMS 1 becomes tanh(drive * x / 3)."""
    tremolo: float = 0.0
    """Depth of a 5 to 8 Hz swing of the loudness."""
    wobble: float = 0.0
    """Depth of a 5 to 7 Hz swing of the speed, and so of the pitch."""


EMOTIONS = MappingProxyType(
    {
        "angry": Prosody((195, 235), (90, 115), (150, 220), (2, 4), end="!", drive=6.0),
        "fearful": Prosody((200, 240), (130, 170), (10, 30), (-1, 1), tremolo=0.9, wobble=0.04),
        "happy": Prosody((180, 210), (140, 180), (260, 360), (3, 5)),
        "neutral": Prosody((145, 165), (95, 105), (60, 90), (-1, 1)),
        "sad": Prosody((80, 105), (70, 90), (10, 30), (-6, -4)),
        "surprised": Prosody((105, 125), (115, 145), (300, 400), (1, 3), end="?"),
    }
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who may speak, and what may be said. A voice is an accent with a variant."""

    accents: tuple[str, ...]
    variants: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence, spoken once by one voice in one emotion."""

    emotion: str
    voice: str
    text: str
    seed: int


TRAINING = Cast(
    accents=("en-us", "en-gb", "en-gb-x-rp", "en-029", "de", "fr-fr", "es", "nl", "sv", "pt-br"),
    variants=(
        *("m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f4"),
        *("adam", "Annie", "linda", "Michael", "steph"),
    ),
    texts=(
        "I left the keys on the kitchen table this morning",
        "The train to the city leaves at half past nine",
        "They are painting the house across the street",
        "We have been waiting here since the early afternoon",
        "She told me about the letter from her brother",
        "There is a box of papers under the desk",
        "The meeting has been moved to the other building",
        "Nobody knew that the door was open all night",
        "He walked along the river with his old dog",
        "You can put the boxes next to the window",
        "My sister is coming home at the end of the week",
        "The phone was ringing when I came downstairs",
        "It has been raining here for almost three days",
        "All of the lights went out in the hall",
        "I have never seen so many people in one place",
        "They sold the car to a man from the village",
        "The doctor said that we could go in now",
        "We found your jacket behind the garden wall",
        "Someone has taken the last piece of bread",
        "The children are playing with a ball outside",
        "I think the bus is going to be late again",
        "He gave me the money and walked away",
        "There was a message for you on the machine",
        "They closed the shop a few minutes ago",
        "She will be back before the clock strikes ten",
        "Everything we ordered arrived on the same day",
        "The water in the lake is colder than it looks",
        "You said that you would call me on Monday",
        "He has not spoken to anyone since yesterday",
        "Our neighbours are moving to another country",
    ),
)

HELD_OUT = Cast(
    accents=("en-gb-scotland", "it", "pl"),
    variants=("m5", "m8", "f3", "f5", "Andrea", "john"),
    texts=(
        "The book you wanted is on the upper shelf",
        "We are going to the market in a little while",
        "Somebody left a bicycle in front of the gate",
        "The teacher asked us to write our names again",
        "I heard the news on the radio last night",
        "There are seven apples in the wooden bowl",
        "He will never forget what happened that summer",
        "The plane landed an hour before midnight",
    ),
)
"""No accent, no variant and no text of this cast is in TRAINING."""


def script(cast: Cast, per_emotion: int, seed: int) -> tuple[Line, ...]:
    """Draw ``per_emotion`` lines of each emotion, the emotions in turn."""
    draw = np.random.default_rng(seed)
    return tuple(
        Line(
            emotion,
            f"{draw.choice(cast.accents)}+{draw.choice(cast.variants)}",
            str(draw.choice(cast.texts)),
            int(draw.integers(1 << 31)),
        )
        for _ in range(per_emotion)
        for emotion in EMOTIONS
    )


def training_script() -> tuple[Line, ...]:
    """What the demo network learns from: 3,000 lines."""
    return script(TRAINING, per_emotion=500, seed=1)


def held_out_script() -> tuple[Line, ...]:
    """What it is judged by: 240 lines, none of whose accents, variants or texts it has heard."""
    return script(HELD_OUT, per_emotion=40, seed=2)


def speak(line: Line) -> Waveform:
    """Synthesise one line: 1-D float32, 16 kHz, mono, at RMS.

    Raises FileNotFoundError where espeak-ng is not installed, CalledProcessError when it fails.
    """
    draw = np.random.default_rng(line.seed)
    prosody = EMOTIONS[line.emotion]
    rate, pitch, spread = (draw.uniform(*r) for r in (prosody.words_per_minute, prosody.pitch, prosody.pitch_range))
    wave = _espeak(line, rate, pitch, spread, prosody.end)
    if prosody.wobble:
        wave = _wobbled(wave, prosody.wobble, draw.uniform(5, 7))
    wave = _tilted(wave, draw.uniform(*prosody.tilt))
    wave /= _rms(wave)
    if prosody.drive:
        wave = np.tanh(prosody.drive * wave / 3)
    if prosody.tremolo:
        wave *= _swing(len(wave), prosody.tremolo, hertz=draw.uniform(5, 8), phase=draw.uniform(0, 2 * np.pi))
    return (RMS * wave / _rms(wave)).astype(np.float32)


def read_aloud(lines: Sequence[Line], threads: int) -> Iterator[Waveform]:
    """Synthesise many lines, in order; each is a process of its own, so threads are enough to keep cores busy."""
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(speak, lines)


def seconds(waves: Sequence[Waveform]) -> float:
    """How long these last together."""
    return sum(map(len, waves)) / SAMPLE_RATE


@cache
def _program() -> str:
    path = shutil.which("espeak-ng")
    if path is None:
        raise FileNotFoundError("espeak-ng is not on PATH; on Debian: apt-get install espeak-ng")
    return path


def _espeak(line: Line, rate: float, pitch: float, spread: float, end: str) -> NDArray[np.float64]:
    ssml = f'<speak><prosody pitch="{pitch:.0f}%" range="{spread:.0f}%">{line.text}{end}</prosody></speak>'
    command = [_program(), "-v", line.voice, "-s", f"{rate:.0f}", "-m", "--stdout", ssml]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    # The header's length is a lie, since espeak-ng cannot seek back in a pipe: what follows it is all samples.
    pcm = np.frombuffer(wav[_WAV_HEADER:], "<i2").astype(np.float64) / 32768
    return np.asarray(resample_poly(pcm, _UP, _DOWN), np.float64)


def _wobbled(wave: NDArray[np.float64], depth: float, hertz: float) -> NDArray[np.float64]:
    time = np.arange(len(wave))
    omega = 2 * np.pi * hertz / SAMPLE_RATE
    return np.asarray(np.interp(time + depth / omega * np.sin(omega * time), time, wave), np.float64)


def _tilted(wave: NDArray[np.float64], db_per_octave: float) -> NDArray[np.float64]:
    hertz = np.maximum(np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE), _FLOOR_HZ)
    gain = 10 ** (db_per_octave * np.log2(hertz / 1000) / 20)
    return np.asarray(np.fft.irfft(np.fft.rfft(wave) * gain, len(wave)), np.float64)


def _swing(samples: int, depth: float, hertz: float, phase: float) -> NDArray[np.float64]:
    return 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / SAMPLE_RATE + phase))


def _rms(wave: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(wave**2))) + 1e-9
