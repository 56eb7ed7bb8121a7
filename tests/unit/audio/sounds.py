"""Recordings made on the spot, and the reference that they are measured against."""

import io
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streamproc.audio.limits import Limits
from streamproc.audio.pool import limits_of
from streamproc.settings import AudioSettings

Wave = NDArray[np.float32]
LIMITS: Limits = limits_of(AudioSettings())


def noise(seconds: float, rate: int = 16_000, channels: int = 1, level: float = 0.1, seed: int = 0) -> Wave:
    """(n, channels) of noise, different in each channel."""
    random = np.random.default_rng(seed)
    return (random.standard_normal((round(seconds * rate), channels)) * level).astype(np.float32)


def voice(seconds: float, pitch: float = 120.0, seed: int = 0) -> Wave:
    """1-D at 16 kHz: glottal pulses through formants, in syllables; the voice detector takes it for speech."""
    random = np.random.default_rng(seed)
    n = round(seconds * 16_000)
    f0 = pitch * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * np.arange(n) / 16_000))
    pulses = np.diff(np.floor(np.cumsum(f0) / 16_000), prepend=0)
    source = np.diff(np.convolve(pulses, 0.95 ** np.arange(200))[:n], prepend=0) + 0.02 * random.standard_normal(n)
    vowels = [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)]
    wave = np.zeros(n)
    t = np.arange(1200) / 16_000
    at = 0
    while at < n:
        length = min(n - at, int(3520 * random.uniform(0.7, 1.4)))
        consonant = length // 4
        syllable = source[at : at + length].copy()
        syllable[:consonant] *= 0.1
        for formant, width in zip((*vowels[random.integers(5)], 3500, 4500), (60, 90, 120, 150, 200), strict=True):
            ringing = np.exp(-np.pi * width * t) * np.sin(2 * np.pi * formant * t)
            syllable = np.convolve(syllable, ringing / ringing.sum())[:length]
        syllable[:consonant] += 0.02 * np.diff(random.standard_normal(consonant + 1))
        wave[at : at + length] = syllable
        at += length
    scaled: Wave = (wave / np.abs(wave).max() * 0.5).astype(np.float32)
    return scaled


def talk(parts: list[tuple[float, float]]) -> Wave:
    """1-D at 16 kHz: (seconds of speech, seconds of pause) in turns."""
    pieces = []
    for seed, (speech, pause) in enumerate(parts):
        pieces += [voice(speech, seed=seed), noise(pause, level=1e-4, seed=seed)[:, 0]]
    return np.concatenate(pieces)


def encoded(wave: Wave, rate: int, form: str, subtype: str | None = None) -> bytes:
    """A file by libsndfile."""
    file = io.BytesIO()
    channels = wave.shape[1] if wave.ndim > 1 else 1
    with soundfile.SoundFile(file, "w", rate, channels, subtype, format=form) as sound:
        for at in range(0, len(wave), 16_384):  # libsndfile's Vorbis writer overflows its stack on a long array
            sound.write(wave[at : at + 16_384])
    return file.getvalue()


def contained(
    wave: Wave,
    rate: int,
    form: str,
    codec: str,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> bytes:
    """A file by FFmpeg: (n, 1 or 2)."""
    layout = {1: "mono", 2: "stereo"}[wave.shape[1]]
    # A path, because FFmpeg reads its own output again to put the index of an MP4 in front.
    with tempfile.NamedTemporaryFile() as file:
        with av.open(file.name, "w", format=form, options=options or {}) as container:
            _encode(container, wave, rate, codec, layout, codec_options or {})
        return Path(file.name).read_bytes()


def _encode(container: Any, wave: Wave, rate: int, codec: str, layout: str, options: dict[str, str]) -> None:
    stream = container.add_stream(codec, rate=rate, layout=layout, options=options)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave.T), format="fltp", layout=layout)
    frame.sample_rate = rate
    resampler = av.AudioResampler(stream.format.name, layout, rate, frame_size=stream.codec_context.frame_size or 0)
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def reference(data: bytes, form: str | None = None) -> tuple[Wave, int]:
    """Decoded whole: (n, channels) and its rate; ``form`` names FFmpeg's demuxer, None takes libsndfile."""
    if form is None:
        wave, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
        return wave, rate
    with av.open(io.BytesIO(data), "r", format=form) as container:
        frames = list(container.decode(audio=0))
    assert all(frame.format.name == "fltp" for frame in frames)
    return np.concatenate([frame.to_ndarray().T for frame in frames]), frames[0].sample_rate


def reference_16k(data: bytes, form: str | None = None) -> Wave:
    """What G3 compares with: decode, mean over the channels, one call of soxr HQ."""
    wave, rate = reference(data, form)
    samples: Wave = soxr.resample(wave.mean(axis=1), rate, 16_000, quality="HQ")
    return samples


def with_data_size(wav: bytes, size: int) -> bytes:
    """The same WAV, its data chunk declared otherwise."""
    at = wav.index(b"data") + 4
    return wav[:at] + struct.pack("<I", size) + wav[at + 4 :]


@contextmanager
def descriptor_of(data: bytes) -> Iterator[int]:
    """The bytes behind a descriptor, as a decoder child gets them."""
    descriptor = os.memfd_create("test")
    try:
        os.write(descriptor, data)
        yield descriptor
    finally:
        os.close(descriptor)
