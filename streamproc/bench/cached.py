"""What each tier is worth: the same events through a worker without any, with one, with two, with all three."""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pydantic import SecretStr

from streamproc.bench.accelerator import accelerated, analysis_of, key_of
from streamproc.bench.events import FOLDER, Stored, announce
from streamproc.bench.machine import Machine, look
from streamproc.bench.pipeline import PARTITIONS, PREFIX
from streamproc.bench.played import Latency, latency, open_line, play
from streamproc.bench.waves import to_wav, voice
from streamproc.bench.zipf import draws
from streamproc.dedupe.archive import ArchiveTier
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerProcess, parse_histogram, parse_series
from streamproc.records.analysis import Tier
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.records.weight import weight
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

T = TypeVar("T")
V = TypeVar("V")

PACKAGES = ("confluent-kafka", "redis", "minio")
SEED = 11
SAMPLES = 8_000
"""Of a recording: half a second, since only its hash matters here."""
SECONDS = 0.5
THREADS = 16
"""That store recordings."""
BUSY = 0.8
"""Share of the time that the accelerator would be busy if it had to compute every event."""
CASES: Mapping[str, tuple[bool, bool, bool]] = {
    "none": (False, False, False),
    "memory": (True, False, False),
    "+ Redis": (True, True, False),
    "+ archive": (True, True, True),
}
"""Which tiers there are: memory, Redis, archive. Each but the first has one more than the one before."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is announced."""

    recordings: int
    events: int
    exponent: float
    remembered: int
    """Analyses that the memory tier holds."""
    events_per_s: float

    @property
    def audio_s_per_s(self) -> float:
        """The accelerator's speed."""
        return self.events_per_s * SECONDS / BUSY


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """One set of tiers."""

    name: str
    shares: Mapping[str, float]
    """Of the events, by the tier that their analysis came from."""
    device_s: float
    latency: Latency

    @property
    def hit_rate(self) -> float:
        """Share of the events that the device did not compute."""
        return 1 - self.shares[Tier.COMPUTED]


@dataclass(frozen=True, slots=True)
class CachedReport:
    """Everything that was measured."""

    machine: Machine
    load: Load
    distinct: int
    """Recordings that are announced at least once."""
    archived: int
    """Recordings that the archive knew before."""
    cases: Sequence[CaseFigures]

    def saved_device_s(self, case: CaseFigures) -> float:
        """Seconds of the device that these tiers spared, against the first case, which has none."""
        return self.cases[0].device_s - case.device_s


def run_cached(settings: Settings, load: Load, report: Report, told: Told) -> CachedReport:
    """Measure case after case; what was started is stopped, whatever happens. Raises StreamprocError."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        today = draws(load.recordings, load.events, load.exponent, SEED)
        before = set(draws(load.recordings, load.events, load.exponent, SEED + 1))
        stored = store_recordings(up.settings, [*sorted({*today, *before}), load.recordings], told)
        run = uuid.uuid4().hex[:8]
        cases = []
        for number, (name, tiers) in enumerate(CASES.items()):
            own = with_tiers(up.settings, load, f"{run}-{number}", tiers)
            if own.dedupe.archive:
                archive(own, [stored[recording] for recording in sorted(before)], told)
            clips = [stored[recording] for recording in today]
            other = stored[load.recordings]
            cases.append(_case(own, name, f"{run}-{number}", clips, other, load.events_per_s, told))
    return CachedReport(machine, load, len(set(today)), len(before), cases)


def with_tiers(settings: Settings, load: Load, run: str, tiers: tuple[bool, bool, bool]) -> Settings:
    """Settings of a worker with these tiers, none of which knows anything of another run."""
    memory, redis, archive = tiers
    entries = load.remembered if memory else 0
    dedupe = settings.dedupe.model_copy(
        update={"memory_bytes": max(1, entries * weight(analysis_of(1_000))), "archive": archive, "scope": "global"}
    )
    shared = settings.redis if redis else settings.redis.model_copy(update={"url": SecretStr("")})
    model = accelerated(settings.model, load.audio_s_per_s, run)
    return settings.model_copy(update={"dedupe": dedupe, "redis": shared, "model": model})


def store_recordings(settings: Settings, numbers: Sequence[int], told: Told) -> Mapping[int, Stored]:
    """Put recordings into the bucket, each of them always the same. Raises StoreError."""
    base = voice(SAMPLES, np.random.default_rng(SEED))

    def put(number: int) -> Stored:
        samples = base.copy()
        samples[:32] = [(number >> bit & 1) / 2 for bit in range(32)]  # no two are of the same bytes
        body = to_wav(samples)
        sha256 = hashlib.sha256(body).hexdigest()
        key = f"{FOLDER}/zipf/{number}.wav"
        store.put(settings.storage.bucket, key, body, "audio/wav")
        return Stored(key, sha256, len(body), round(1000 * SECONDS))

    with closing(S3Store(settings.storage, THREADS, SystemClock())) as store:
        return dict(zip(numbers, _in_threads(put, numbers, "recordings", told), strict=True))


def archive(settings: Settings, clips: Sequence[Stored], told: Told) -> None:
    """Keep what a worker like this computed of these long ago. Raises StoreError, TierError."""
    clock = SystemClock()
    analysis = analysis_of(round(1000 * SECONDS))

    def keep(clip: Stored) -> None:
        tier.put(key_of(settings, clip.sha256), analysis)

    with closing(S3Store(settings.storage, THREADS, clock)) as store:
        tier = ArchiveTier(store, settings.storage.bucket, analysis_to_bytes, analysis_from_bytes, clock, Metrics())
        _in_threads(keep, clips, "archive", told)


def _case(
    settings: Settings, name: str, run: str, clips: Sequence[Stored], other: Stored, events_per_s: float, told: Told
) -> CaseFigures:
    worker = WorkerProcess(settings, settings.local.state_dir / "bench-worker.log")
    try:
        worker.start()
        records = announce(settings, clips, run)
        with open_line(settings) as line:
            play(line, worker, announce(settings, [other], f"{run}-warm-up"), events_per_s, "warm-up", told)
            before = worker.metrics()
            took = play(line, worker, records, events_per_s, name, told)
            after = worker.metrics()
    finally:
        worker.stop()
    counts = {tier: _analyses(after, tier) - _analyses(before, tier) for tier in Tier}
    device_s = _device_s(after) - _device_s(before)
    return CaseFigures(name, {tier: count / len(clips) for tier, count in counts.items()}, device_s, latency(took))


def _analyses(text: str, tier: Tier) -> float:
    return parse_series(text, "streamproc_analyses_total", "tier")[tier]


def _device_s(text: str) -> float:
    return parse_histogram(text, "streamproc_device_batch_seconds")[0]


def _in_threads(call: Callable[[T], V], items: Sequence[T], name: str, told: Told) -> Sequence[V]:
    found = []
    with ThreadPoolExecutor(THREADS) as pool:
        for number, one in enumerate(pool.map(call, items), 1):
            found.append(one)
            told(name, "objects", number, len(items))
    return found
