"""New events through one worker, then through several of one group: what more of them bring, and what keeps busy."""

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from streamproc.bench.accelerator import FREE, accelerated
from streamproc.bench.events import Stored, announce, send
from streamproc.bench.fresh import PACKAGES, children_cpu_s
from streamproc.bench.machine import Machine, look
from streamproc.bench.pipeline import PATIENCE_S, POLL_S, follow
from streamproc.bench.recorded import store_new
from streamproc.bench.stretch import UntrueRunError, micro_batches
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerEndedError, WorkerProcess, parse_gauge
from streamproc.operate.outputs import open_outputs
from streamproc.settings import Settings
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

PREFIX = "bench-scale"
PARTITIONS = 24
"""So many that a group shares them out about evenly, whatever else it has to share out."""
WARM_UP = 96
"""Some for each partition: all connections are open."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Processor seconds so far."""

    at: float
    """In s since the epoch."""
    mains_s: float
    """Of the workers' main processes, where Python's lock is."""
    children_s: float
    """Of their decoders and devices."""
    machine_s: float
    """Of everybody."""


@dataclass(frozen=True, slots=True)
class ScaleFigures:
    """So many workers."""

    workers: int
    events_per_s: float
    """From when the first is sent until the last commit of all of them."""
    cpu_ms_per_event: float
    """Of all processes of all workers."""
    main_cores: float
    """Cores that one main process kept busy, on average: near 1 it is the limit."""
    workers_cores: float
    """Of all processes of all workers."""
    machine_cores: float
    """Of everybody, the servers too: near the machine's own, there is nothing left to scale into."""


@dataclass(frozen=True, slots=True)
class ScaleReport:
    """Everything that was measured."""

    machine: Machine
    format: str
    events: int
    counts: Sequence[ScaleFigures]

    def over_first(self, found: ScaleFigures) -> float:
        """Its rate over that of the first count."""
        return found.events_per_s / self.counts[0].events_per_s

    def cpu_over_first(self, found: ScaleFigures) -> float:
        """What an event takes of the processor, over what it takes with the first count."""
        return found.cpu_ms_per_event / self.counts[0].cpu_ms_per_event


def run_scale(
    settings: Settings, counts: Sequence[int], kind: str, events: int, report: Report, told: Told
) -> ScaleReport:
    """Measure count by count; what was started is stopped, whatever happens. Raises StreamprocError."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        clips = store_new(up.settings, kind, WARM_UP + events, told)
        found = [_measure(up.settings, clips, count, told) for count in counts]
    return ScaleReport(machine, kind, events, found)


def _measure(settings: Settings, clips: Sequence[Stored], count: int, told: Told) -> ScaleFigures:
    run, name = uuid.uuid4().hex[:8], f"{count} workers"
    own = settings.model_copy(update={"model": accelerated(settings.model, FREE, run)})
    topic, events = own.topics.recordings, len(clips) - WARM_UP
    workers = [WorkerProcess(own, own.local.state_dir / f"bench-worker-{number}.log") for number in range(count)]
    with ExitStack() as stack:
        for worker in workers:
            stack.callback(shielded, worker.stop)
            worker.start()
        _settle(own, workers)
        with open_outputs(own, [own.topics.ledger], None) as ledger:
            follow(ledger, topic, send(own, announce(own, clips[:WARM_UP], f"{run}-warm-up")), workers[0], told, name)
            records = announce(own, clips[WARM_UP:], run)
            known = [len(micro_batches(worker)) for worker in workers]
            before = _busy(workers)
            follow(ledger, topic, send(own, records), workers[0], told, name)
            after = _busy(workers)
        for worker in workers:
            worker.check()
        lines = [line for worker, old in zip(workers, known, strict=True) for line in micro_batches(worker)[old:]]
    return figures(count, events, before, after, lines)


def figures(workers: int, events: int, before: Busy, after: Busy, lines: Sequence[Mapping[str, Any]]) -> ScaleFigures:
    """The difference of two moments. Raises UntrueRunError without a commit."""
    if not lines:
        raise UntrueRunError("there is no line of a commit, so no rate")
    seconds = max(datetime.fromisoformat(line["at"]).timestamp() for line in lines) - before.at
    took, mains = after.at - before.at, after.mains_s - before.mains_s
    all_of_them = mains + after.children_s - before.children_s
    return ScaleFigures(
        workers=workers,
        events_per_s=events / seconds,
        cpu_ms_per_event=1000 * all_of_them / events,
        main_cores=mains / took / workers,
        workers_cores=all_of_them / took,
        machine_cores=(after.machine_s - before.machine_s) / took,
    )


def _settle(settings: Settings, workers: Sequence[WorkerProcess]) -> None:
    """Wait until all partitions are shared out and each has some. Raises WorkerEndedError, UntrueRunError."""
    topics = settings.topics
    all_of_them = topics.partitions + len(topics.lanes) * topics.lane_partitions
    deadline = time.monotonic() + PATIENCE_S
    while True:
        held = [_held(worker) for worker in workers]
        if min(held) and sum(held) == all_of_them:
            return
        if time.monotonic() > deadline:
            raise UntrueRunError(f"the workers hold {held} of {all_of_them} partitions after {PATIENCE_S} s")
        time.sleep(POLL_S)


def _held(worker: WorkerProcess) -> float:
    """How many partitions it has; none before it listens. Raises WorkerEndedError when it ended."""
    worker.check()
    try:
        return parse_gauge(worker.metrics(), "streamproc_partitions")
    except (WorkerEndedError, KeyError):
        return 0.0


def _busy(workers: Sequence[WorkerProcess]) -> Busy:
    mains = [psutil.Process(worker.pid).cpu_times() for worker in workers]
    everybody = psutil.cpu_times()
    idle = everybody.idle + everybody.iowait
    # Guests are in user and nice already.
    counted = sum(everybody) - getattr(everybody, "guest", 0.0) - getattr(everybody, "guest_nice", 0.0)
    return Busy(
        at=time.time(),
        mains_s=sum(one.user + one.system for one in mains),
        children_s=sum(children_cpu_s(worker.pid) for worker in workers),
        machine_s=counted - idle,
    )
