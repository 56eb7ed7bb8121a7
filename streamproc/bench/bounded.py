"""Whether a worker's memory stays under what its settings allow, with long recordings among many short ones.

Once with a device that answers at once, so that the decoders are never ahead of it, once with a slow one, behind which
everything gathers that may be in flight: then it is waveforms that wait.
"""

import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from streamproc.arena import SAMPLE_RATE
from streamproc.bench.accelerator import FREE, accelerated
from streamproc.bench.events import Stored, announce, send
from streamproc.bench.machine import Machine, look
from streamproc.bench.pipeline import PARTITIONS, PREFIX, follow
from streamproc.bench.recorded import store_new
from streamproc.bench.resident import Resident, Watch, resident
from streamproc.bench.speech import talk
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerProcess, parse_histogram
from streamproc.operate.outputs import open_outputs
from streamproc.settings import Settings
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

PACKAGES = ("confluent-kafka", "urllib3", "av", "soundfile", "soxr", "numpy")
SHORT, LONG = "opus", "wav"
"""Short ones as apps send them; long ones with as many bytes as a recording can have."""
_SAMPLE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Held:
    """What one worker had in memory."""

    idle: Resident
    """When one short recording was done and nothing else was there."""
    peak: Resident
    allowed_bytes: int
    """Beyond the idle worker: what the settings let be in flight and be remembered."""
    device_busy: float
    """Share of the time in which its device computed: near 1 all else waited for it."""

    @property
    def ceiling_bytes(self) -> int:
        """What the worker may have."""
        return self.idle.total + self.allowed_bytes

    @property
    def of_ceiling(self) -> float:
        """The most it had, over what it may have."""
        return self.peak.total / self.ceiling_bytes


@dataclass(frozen=True, slots=True)
class BoundedReport:
    """Everything that was measured."""

    machine: Machine
    events: int
    long: int
    long_s: float
    long_bytes: int
    """Of one long recording."""
    free: Held
    """With a device that answers at once."""
    slow: Held
    slow_audio_s_per_s: float
    """The speed of the slow one."""


def allowed_bytes(settings: Settings) -> int:
    """Bytes and waveforms in flight, and what the worker remembers by itself."""
    flow, dedupe = settings.flow, settings.dedupe
    waveforms = round(flow.in_flight_audio_s * SAMPLE_RATE * _SAMPLE_BYTES)
    waiting = dedupe.archive_waiting_bytes if dedupe.archive else 0
    return flow.in_flight_bytes + waveforms + dedupe.memory_bytes + dedupe.alias_bytes + waiting


def run_bounded(
    settings: Settings, events: int, long: int, hours: float, slow: float, report: Report, told: Told
) -> BoundedReport:
    """Measure with each device once; what was started is stopped, whatever happens. Raises StreamprocError."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        short = store_new(up.settings, SHORT, events - long + 1, told)
        longer = store_new(up.settings, LONG, long, told, 3600 * hours, "long", talk)
        clips = mixed(short[1:], longer)
        free, slowly = (_measure(up.settings, short[0], clips, speed, told) for speed in (FREE, slow))
    size = max((clip.size_bytes for clip in longer), default=0)
    return BoundedReport(machine, events, long, 3600 * hours, size, free, slowly, slow)


def mixed(short: Sequence[Stored], longer: Sequence[Stored]) -> Sequence[Stored]:
    """The long ones spread evenly among the short ones."""
    step = len(short) // (len(longer) + 1)
    found: list[Stored] = []
    for number, clip in enumerate(longer):
        found += [*short[number * step : (number + 1) * step], clip]
    return [*found, *short[len(longer) * step :]]


def _measure(settings: Settings, first: Stored, clips: Sequence[Stored], speed: float, told: Told) -> Held:
    run, name = uuid.uuid4().hex[:8], "a free device" if speed == FREE else f"{speed:g} audio-s/s"
    own = settings.model_copy(update={"model": accelerated(settings.model, speed, run)})
    worker = WorkerProcess(own, settings.local.state_dir / "bench-worker.log")
    topic = own.topics.recordings
    try:
        worker.start()
        with open_outputs(own, [own.topics.ledger], None) as ledger:
            follow(ledger, topic, send(own, announce(own, [first], f"{run}-warm-up")), worker, told, f"{name}, warm-up")
            idle, before, began = resident(worker.pid), _device_s(worker), time.monotonic()
            with Watch(partial(resident, worker.pid)) as watch:
                parts = send(own, announce(own, clips, run))
                follow(ledger, topic, parts, worker, told, name)
            busy = (_device_s(worker) - before) / (time.monotonic() - began)
    finally:
        worker.stop()
    return Held(idle, watch.most, allowed_bytes(settings), busy)


def _device_s(worker: WorkerProcess) -> float:
    return parse_histogram(worker.metrics(), "streamproc_device_batch_seconds")[0]
