"""The floor of new events: their recordings fetched, hashed and decoded by the worker's own parts, in one thread."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import closing

from streamproc.audio.decode import open_stream
from streamproc.audio.limits import Limits
from streamproc.audio.prepare import prepare
from streamproc.audio.voice import load_session
from streamproc.bench.events import Stored
from streamproc.bench.floor import Cost, timed
from streamproc.settings import AudioSettings, Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock


def measure_audio(settings: Settings, clips: Sequence[Stored]) -> Sequence[Cost]:
    """One part after the other over all recordings. Raises StoreError, PoisonError."""
    costs: list[Cost] = []
    bucket, most = settings.storage.bucket, settings.audio.max_object_bytes
    with closing(S3Store(settings.storage, 1, SystemClock())) as store:
        store.probe()  # connected
        with timed("GET", costs):
            bodies = [store.get(bucket, clip.key, None, most).body for clip in clips]
    with timed("hash", costs):
        for body in bodies:
            hashlib.sha256(body).hexdigest()
    limits, session = _limits(settings.audio), load_session()
    _decode(bodies[0], limits, session)  # libraries are loaded when they are first asked for
    with timed("audio", costs):
        for body in bodies:
            _decode(body, limits, session)
    return costs


def _decode(body: bytes, limits: Limits, session: object) -> None:
    """To 16 kHz segments, from a file in memory as a decoder gets it."""
    descriptor = os.memfd_create("bench")
    try:
        os.write(descriptor, body)
        with open_stream(descriptor, limits) as stream:
            for _ in prepare(stream, "mix", session):
                pass
    finally:
        os.close(descriptor)


def _limits(audio: AudioSettings) -> Limits:
    return Limits(
        max_seconds=audio.max_seconds,
        min_sample_rate=audio.min_sample_rate,
        max_sample_rate=audio.max_sample_rate,
        max_channels=audio.max_channels,
        memory_bytes=audio.decoder_memory_bytes,
        timeout_s=audio.decode_timeout_s,
    )
