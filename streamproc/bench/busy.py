"""How busy a worker keeps a device whose speed is known, and a picture of how its stages overlap."""

import os
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from streamproc.bench.accelerator import accelerated
from streamproc.bench.events import Stored, announce, send
from streamproc.bench.machine import Machine, look
from streamproc.bench.pipeline import PARTITIONS, PREFIX, follow
from streamproc.bench.recorded import store_new
from streamproc.bench.timeline import Span, spans
from streamproc.bench.traced import VARIABLE
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerProcess, parse_histogram
from streamproc.operate.outputs import open_outputs
from streamproc.settings import Settings
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

PACKAGES = ("confluent-kafka",)
ENDS = ("prepared", "computed")
"""What the device's time lies between."""
TRACED = ("streamproc.bench.traced",)


@dataclass(frozen=True, slots=True)
class SpeedFigures:
    """One speed of the device."""

    audio_s_per_s: float
    seconds: float
    """From the first batch that could go to the device until the last came back."""
    device_s: float
    """Of those, what the device was computing."""
    spans: Sequence[Span]

    @property
    def busy(self) -> float:
        """Share of the time in which the device computed."""
        return self.device_s / self.seconds


@dataclass(frozen=True, slots=True)
class BusyReport:
    """Everything that was measured."""

    machine: Machine
    events: int
    micro_batch_records: int
    speeds: Sequence[SpeedFigures]


def run_busy(
    settings: Settings, speeds: Sequence[float], events: int, micro_batch: int, report: Report, told: Told
) -> BusyReport:
    """Measure speed by speed; what was started is stopped, whatever happens. Raises StreamprocError."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        clips = store_new(up.settings, "wav", events, told)
        flow = up.settings.flow.model_copy(update={"micro_batch_records": micro_batch})
        own = up.settings.model_copy(update={"flow": flow})
        found = [_measure(own, clips, speed, told) for speed in speeds]
    return BusyReport(machine, events, micro_batch, found)


def _measure(settings: Settings, clips: Sequence[Stored], speed: float, told: Told) -> SpeedFigures:
    run = uuid.uuid4().hex[:8]
    own = settings.model_copy(update={"model": accelerated(settings.model, speed, run)})
    worker = WorkerProcess(own, settings.local.state_dir / "bench-worker.log", TRACED)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        trace = Path(folder) / "trace"
        os.environ[VARIABLE] = str(trace)
        try:
            worker.start()
            with open_outputs(own, [own.topics.ledger], None) as ledger:
                parts = send(own, announce(own, clips, run))
                follow(ledger, own.topics.recordings, parts, worker, told, f"{speed:g} audio-s/s")
            device_s, _ = parse_histogram(worker.metrics(), "streamproc_device_batch_seconds")
        finally:
            worker.stop()
            del os.environ[VARIABLE]
        lines = trace.read_text("ascii").splitlines()
    at = {what: [float(line.split("\t")[3]) for line in lines if line.startswith(f"{what}\t")] for what in ENDS}
    return SpeedFigures(speed, max(at["computed"]) - min(at["prepared"]), device_s, spans(lines))
