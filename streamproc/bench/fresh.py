"""New events through a worker whose device answers at once, against the floor of fetching and decoding alone."""

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from streamproc.bench.accelerator import FREE, accelerated
from streamproc.bench.events import announce, send
from streamproc.bench.floor import Cost, measure_floor
from streamproc.bench.floor_audio import measure_audio
from streamproc.bench.machine import Machine, look
from streamproc.bench.pipeline import PARTITIONS, PREFIX, a_result, follow
from streamproc.bench.recorded import FORMATS, store_new
from streamproc.bench.stretch import Figures, figures, micro_batches, moment
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerProcess
from streamproc.operate.outputs import open_outputs
from streamproc.settings import Settings
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

PACKAGES = ("confluent-kafka", "fastavro", "urllib3", "av", "soundfile", "soxr")


@dataclass(frozen=True, slots=True)
class FormatFigures:
    """One format."""

    format: str
    bytes: int
    """Of one recording, on average."""
    worker: Figures
    children_cpu_ms_per_event: float
    """Of the decoders and the device's process."""
    floor: Sequence[Cost]

    @property
    def cpu_ms_per_event(self) -> float:
        """Of all processes of the worker."""
        return self.worker.cpu_ms_per_event + self.children_cpu_ms_per_event

    @property
    def floor_cpu_ms_per_event(self) -> float:
        """Of all parts."""
        return 1000 * sum(cost.cpu_s for cost in self.floor) / self.worker.events

    @property
    def cpu_ratio(self) -> float:
        """The worker's CPU time over the floor's."""
        return self.cpu_ms_per_event / self.floor_cpu_ms_per_event


@dataclass(frozen=True, slots=True)
class FreshReport:
    """Everything that was measured."""

    machine: Machine
    formats: Sequence[FormatFigures]


def run_fresh(settings: Settings, events: int, report: Report, told: Told) -> FreshReport:
    """Measure format by format; what was started is stopped, whatever happens. Raises StreamprocError."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        found = [_measure(up.settings, kind, events, told) for kind in FORMATS]
    return FreshReport(machine, found)


def _measure(settings: Settings, kind: str, events: int, told: Told) -> FormatFigures:
    clips = store_new(settings, kind, events + 1, told)
    run = uuid.uuid4().hex[:8]
    own = settings.model_copy(update={"model": accelerated(settings.model, FREE, run)})
    worker = WorkerProcess(own, settings.local.state_dir / "bench-worker.log")
    topic = own.topics.recordings
    try:
        worker.start()
        with open_outputs(own, [own.topics.ledger], None) as ledger:
            follow(ledger, topic, send(own, announce(own, clips[-1:], f"{run}-warm-up")), worker, told, "warm-up")
            before, children = moment(worker), children_cpu_s(worker.pid)
            parts = send(own, announce(own, clips[:-1], run))
            follow(ledger, topic, parts, worker, told, kind)
            after, children = moment(worker), children_cpu_s(worker.pid) - children
        lines = micro_batches(worker)[before.lines : after.lines]
    finally:
        worker.stop()
    found = figures(events, before, after, lines)
    told(f"{kind} floor", "parts", 0, 1)
    floor = [*measure_floor(own, parts, a_result(own)).libraries, *measure_audio(own, clips[:-1])]
    told(f"{kind} floor", "parts", 1, 1)
    size = sum(clip.size_bytes for clip in clips) // len(clips)
    return FormatFigures(kind, size, found, 1000 * children / events, floor)


def children_cpu_s(pid: int) -> float:
    """User and system time of a process's children, those that live."""
    times = [child.cpu_times() for child in psutil.Process(pid).children(recursive=True)]
    return sum(one.user + one.system for one in times)
