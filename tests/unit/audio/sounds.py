"""Recordings made on the spot, and the reference that they are measured against."""

import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
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


def voice(seconds: float, rate: int = 16_000, pitch: float = 120.0, seed: int = 0) -> Wave:
    """1-D: glottal pulses through moving formants in syllables of 250 ms; the voice detector takes it for speech."""
    random = np.random.default_rng(seed)
    n = round(seconds * rate)
    t = np.arange(n) / rate
    f0 = pitch * (1 + 0.08 * np.sin(2 * np.pi * 2.1 * t) + 0.02 * np.cumsum(random.standard_normal(n)) / rate)
    phase = 2 * np.pi * np.cumsum(f0) / rate
    slots = (t / 0.25).astype(int)
    first = random.uniform(300, 800, slots[-1] + 1)[slots]
    second = random.uniform(900, 2200, slots[-1] + 1)[slots]
    wave = np.zeros(n)
    for harmonic in range(1, 30):
        f = harmonic * f0
        gain = sum(width / (1 + ((f - centre) / 90) ** 2) for centre, width in ((first, 1), (second, 0.6), (2600, 0.3)))
        wave += gain * np.sin(harmonic * phase) / harmonic**0.3
    wave *= 0.55 - 0.45 * np.cos(2 * np.pi * t / 0.25)
    scaled: Wave = (wave / np.abs(wave).max() * 0.5).astype(np.float32)
    return scaled


def encoded(wave: Wave, rate: int, form: str, subtype: str | None = None) -> bytes:
    """A file by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=form, subtype=subtype)
    return file.getvalue()


def contained(wave: Wave, rate: int, form: str, codec: str, options: dict[str, str] | None = None) -> bytes:
    """A file by FFmpeg: (n, 1 or 2)."""
    file = io.BytesIO()
    layout = {1: "mono", 2: "stereo"}[wave.shape[1]]
    with av.open(file, "w", format=form, options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave.T), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format.name, layout, rate, frame_size=stream.codec_context.frame_size or 0)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


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
