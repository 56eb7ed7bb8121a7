"""A worker on events whose analyses it remembers, or Redis does, against the floor of its libraries."""

import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from streamproc.bench.accelerator import FREE, accelerated
from streamproc.bench.events import Part, Stored, announce, heard_again, send
from streamproc.bench.floor import Cost, Floor, measure_floor
from streamproc.bench.machine import Machine, look
from streamproc.bench.stretch import Figures, UntrueRunError, check_tier, figures, micro_batches, moment
from streamproc.bench.warm_redis import fill_redis, names_in_redis
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerProcess
from streamproc.operate.outputs import Outputs, open_outputs
from streamproc.records.analysis import Tier
from streamproc.records.ledger import LedgerEntry
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

Trust = Literal["content", "declared"]
"""What spares a fetch: nothing, or the hash that an event declares."""

PREFIX = "bench"
PARTITIONS = 3
WARM_UP = 1_024
"""Two full micro-batches: the analyses are known, the connections open."""
PATIENCE_S = 120
POLL_S = 0.2
PACKAGES = ("confluent-kafka", "fastavro", "torch")


@dataclass(frozen=True, slots=True)
class Run:
    """A worker, and the floors of the same records."""

    worker: Figures
    floor: Floor

    @property
    def floor_events_per_s(self) -> float:
        """If there were nothing but the libraries' parts, one after the other."""
        return self.worker.events / sum(cost.wall_s for cost in self.floor.libraries)

    @property
    def speed_ratio(self) -> float:
        """The worker's rate over that of the libraries."""
        return self.worker.events_per_s / self.floor_events_per_s

    @property
    def cpu_ratio(self) -> float:
        """The worker's CPU time over that of the libraries."""
        return 1000 * self.worker.cpu_ms_per_event / self.cpu_us(self.floor.libraries)

    @property
    def own_cpu_ratio(self) -> float:
        """The worker's CPU time over that of the floor with our own codecs."""
        return 1000 * self.worker.cpu_ms_per_event / self.cpu_us(self.floor.own)

    def cpu_us(self, costs: Sequence[Cost]) -> float:
        """CPU time of these parts for each event."""
        return 1e6 * sum(cost.cpu_s for cost in costs) / self.worker.events


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """Everything that was measured."""

    machine: Machine
    trust: Trust
    memory: Run
    """All analyses came from the worker's memory."""
    redis: Run | None
    """All came from Redis, each once, in a worker that had just started; none where objects are fetched."""


def run_pipeline(settings: Settings, events: int, trust: Trust, report: Report, told: Told) -> PipelineReport:
    """Measure once; what was started is stopped, whatever happens. Raises StreamprocError."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        own = repeated(up.settings, trust)
        memory = _against_floor(own, heard_again(own, WARM_UP + events), Tier.MEMORY, None, told)
        redis = None
        if trust == "declared":
            clips = fill_redis(own, f"bench-{uuid.uuid4().hex[:8]}", WARM_UP + events)
            redis = _against_floor(own, clips, Tier.REDIS, names_in_redis(own, clips[WARM_UP:]), told)
    return PipelineReport(machine, trust, memory, redis)


def _against_floor(
    settings: Settings, clips: Sequence[Stored], tier: Tier, names: Sequence[str] | None, told: Told
) -> Run:
    """A new worker, then the floor of the events that were measured."""
    worker = WorkerProcess(settings, settings.local.state_dir / "bench-worker.log")
    try:
        worker.start()
        found, parts = measure(settings, worker, clips, tier, told)
    finally:
        shielded(worker.stop)
    told(f"{tier}, floor", "the libraries alone", 0, 1)
    floor = measure_floor(settings, parts, a_result(settings), names)
    told(f"{tier}, floor", "the libraries alone", 1, 1)
    return Run(found, floor)


def repeated(settings: Settings, trust: Trust) -> Settings:
    """A worker whose device answers at once: a slow one would make for small micro-batches, whatever is known."""
    return settings.model_copy(
        update={
            "dedupe": settings.dedupe.model_copy(update={"trust": trust, "scope": "global"}),
            "model": accelerated(settings.model, FREE, uuid.uuid4().hex[:8]),
        }
    )


def measure(
    settings: Settings, worker: WorkerProcess, clips: Sequence[Stored], tier: Tier, told: Told
) -> tuple[Figures, Sequence[Part]]:
    """Let a worker that was started do one event for each; after a warm-up they are measured. Where those came to lie.

    Raises WorkerEndedError; UntrueRunError also unless all analyses came from that tier.
    """
    events = len(clips) - WARM_UP
    records = announce(settings, clips, f"bench-{uuid.uuid4().hex[:8]}")
    with open_outputs(settings, [settings.topics.ledger], None) as ledger:
        follow(ledger, settings.topics.recordings, send(settings, records[:WARM_UP]), worker, told, f"{tier}, warm-up")
        before = moment(worker)
        parts = send(settings, records[WARM_UP:])
        follow(ledger, settings.topics.recordings, parts, worker, told, f"{tier}, measured")
        after = moment(worker)
    check_tier(before, after, tier, events)
    return figures(events, before, after, micro_batches(worker)[before.lines : after.lines]), parts


def follow(ledger: Outputs, topic: str, parts: Sequence[Part], worker: WorkerProcess, told: Told, name: str) -> None:
    """Read the ledger until the worker is through.

    Raises WorkerEndedError; UntrueRunError unless each event became a result, since no other end costs what one does.
    """
    ends = {part.partition: part.end for part in parts}
    starts = {part.partition: part.start for part in parts}
    done, results, total = dict(starts), 0, sum(ends.values()) - sum(starts.values())
    deadline = time.monotonic() + PATIENCE_S
    while done != ends:
        worker.check()
        if time.monotonic() > deadline:
            raise UntrueRunError(f"no progress for {PATIENCE_S} s. The worker's log says why: {worker.log}")
        for row in ledger.poll(POLL_S):
            if (
                isinstance(row, LedgerEntry)
                and row.input_topic == topic
                and row.first_offset >= starts.get(row.input_partition, row.last_offset)
            ):
                done[row.input_partition] = row.last_offset + 1
                results += row.results
                deadline = time.monotonic() + PATIENCE_S
                told(name, "events", sum(done.values()) - sum(starts.values()), total)
    if results != total:
        raise UntrueRunError(
            f"{total} events gave {results} results: somebody else writes to {topic}, or the worker met trouble. Its "
            f"log is {worker.log}"
        )


def a_result(settings: Settings) -> EmotionResult:
    """One row that a worker wrote a moment ago. Raises UntrueRunError when there is none."""
    since_ms = SystemClock().wall_ms() - 1000 * PATIENCE_S
    with open_outputs(settings, [settings.topics.results], since_ms) as outputs:
        for row in outputs.rest():
            if isinstance(row, EmotionResult):
                return row
    raise UntrueRunError(f"{settings.topics.results} has no row of this run")
