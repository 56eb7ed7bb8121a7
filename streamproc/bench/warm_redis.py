"""Recordings that nobody stored and whose analyses Redis has: what a worker finds that starts beside others."""

import hashlib
from collections.abc import Sequence
from contextlib import closing

from streamproc.bench.accelerator import analysis_of, key_of
from streamproc.bench.events import FOLDER, Stored
from streamproc.bench.floor import BATCH
from streamproc.dedupe.redis import RedisTier, redis_key
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.settings import Settings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics

TTL_S = 1_800
"""They are of no use after the run."""
BYTES = 40_000
DURATION_MS = 1_000
"""As the recordings that come again have, on average."""


def fill_redis(settings: Settings, run: str, count: int) -> Sequence[Stored]:
    """Put analyses into Redis, each of a content of its own, as a worker of these settings would; their recordings.

    No such object is in the bucket: a worker that goes by what an event declares never asks for it. Raises TierError.
    """
    clips = [_clip(f"{run}-{number}") for number in range(count)]
    analysis, own = analysis_of(DURATION_MS), settings.redis.model_copy(update={"ttl_s": TTL_S})
    with closing(RedisTier(own, analysis_to_bytes, analysis_from_bytes, SystemClock(), Metrics())) as tier:
        for start in range(0, count, BATCH):
            tier.put_many({key_of(settings, clip.sha256): analysis for clip in clips[start : start + BATCH]})
    return clips


def names_in_redis(settings: Settings, clips: Sequence[Stored]) -> Sequence[str]:
    """What Redis has them under."""
    return [redis_key(key_of(settings, clip.sha256)) for clip in clips]


def _clip(name: str) -> Stored:
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return Stored(f"{FOLDER}/nowhere/{sha256}.wav", sha256, BYTES, DURATION_MS)
