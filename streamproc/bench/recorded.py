"""Recordings of their own for each event, in the formats that platforms send."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

import numpy as np
import soundfile

from streamproc.arena import SAMPLE_RATE
from streamproc.bench.events import FOLDER, Stored
from streamproc.bench.waves import Wave, voice
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.told import Told

SECONDS = 5.0
SEED = 13
STEP = 160
"""Samples between the beginnings of two recordings, all cut from one long voice: no two have the same bytes."""
FORMATS: Mapping[str, tuple[str, str]] = {
    "wav": ("WAV", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
}
"""As libsndfile calls them."""


def hum(samples: int) -> Wave:
    """So many samples of one voice, in which no pause is ever found: for recordings that are one segment."""
    return voice(samples, np.random.default_rng(SEED))


def bodies(kind: str, count: int, seconds: float = SECONDS, sound: Callable[[int], Wave] = hum) -> Iterator[bytes]:
    """So many recordings of one format, 16 kHz, mono, the same for each call, cut from so many samples of a sound."""
    container, subtype = FORMATS[kind]
    samples = round(seconds * SAMPLE_RATE)
    long = sound(samples + STEP * count)
    for number in range(count):
        out = io.BytesIO()
        piece = long[STEP * number : STEP * number + samples]
        soundfile.write(out, piece, SAMPLE_RATE, format=container, subtype=subtype)
        yield out.getvalue()


def store_new(
    settings: Settings,
    kind: str,
    count: int,
    told: Told,
    seconds: float = SECONDS,
    folder: str = "new",
    sound: Callable[[int], Wave] = hum,
) -> Sequence[Stored]:
    """Put recordings into the bucket that no worker has heard, all of the same length. Raises StoreError."""
    stored = []
    with closing(S3Store(settings.storage, 1, SystemClock())) as store:
        for number, body in enumerate(bodies(kind, count, seconds, sound)):
            key = f"{FOLDER}/{folder}/{number}.{kind}"
            store.put(settings.storage.bucket, key, body, f"audio/{kind}")
            stored.append(Stored(key, hashlib.sha256(body).hexdigest(), len(body), round(1000 * seconds)))
            told(kind, "recordings", number + 1, count)
    return stored
