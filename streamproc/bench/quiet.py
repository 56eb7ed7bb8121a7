"""How long a result takes when there is little to do, and in which stage."""

import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from streamproc.bench.accelerator import FREE, accelerated
from streamproc.bench.busy import TRACED
from streamproc.bench.events import Stored, announce
from streamproc.bench.machine import Machine, look
from streamproc.bench.pipeline import PARTITIONS, PREFIX
from streamproc.bench.played import Latency, latency, open_line, play
from streamproc.bench.recorded import store_new
from streamproc.bench.timeline import steps
from streamproc.bench.traced import VARIABLE
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerProcess
from streamproc.settings import Settings
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

PACKAGES = ("confluent-kafka",)


@dataclass(frozen=True, slots=True)
class QuietFigures:
    """One kind of events."""

    name: str
    whole: Latency
    """From an event that is due until a reader of committed rows has its result."""
    stages: Mapping[str, Latency]
    """Inside of the worker, of the events that came to them."""


@dataclass(frozen=True, slots=True)
class QuietReport:
    """Everything that was measured."""

    machine: Machine
    events: int
    events_per_s: float
    linger_ms: float
    kinds: Sequence[QuietFigures]


def run_quiet(settings: Settings, events: int, events_per_s: float, report: Report, told: Told) -> QuietReport:
    """Measure new events, then the same again; what was started is stopped. Raises StreamprocError."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        clips = store_new(up.settings, "wav", events + 1, told)
        kinds = _measure(up.settings, clips, events_per_s, told)
    return QuietReport(machine, events, events_per_s, 1000 * settings.flow.linger_s, kinds)


def _measure(settings: Settings, clips: Sequence[Stored], events_per_s: float, told: Told) -> Sequence[QuietFigures]:
    run, names = uuid.uuid4().hex[:8], ("new", "again")
    own = settings.model_copy(update={"model": accelerated(settings.model, FREE, run)})
    worker = WorkerProcess(own, settings.local.state_dir / "bench-worker.log", TRACED)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        trace = Path(folder) / "trace"
        os.environ[VARIABLE] = str(trace)
        try:
            worker.start()
            with open_line(own) as line:
                play(line, worker, announce(own, clips[-1:], f"{run}-warm-up"), events_per_s, "warm-up", told)
                took = [
                    play(line, worker, announce(own, clips[:-1], f"{run}-{name}"), events_per_s, name, told)
                    for name in names
                ]
        finally:
            worker.stop()
            del os.environ[VARIABLE]
        records = list(steps(trace.read_text("ascii").splitlines()))[1:]  # the first was the warm-up
    count = len(clips) - 1
    parts = (records[:count], records[count:])
    return [
        QuietFigures(name, latency(seconds), by_stage(part))
        for name, seconds, part in zip(names, took, parts, strict=True)
    ]


def by_stage(records: Sequence[Mapping[str, float]]) -> Mapping[str, Latency]:
    """Sum up the seconds that records spent on their way to each step, in the order of a record's life."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: latency([record[name] for record in records if name in record]) for name in names}
