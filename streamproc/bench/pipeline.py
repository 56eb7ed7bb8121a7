"""A worker on events whose analyses it remembers, against the floor of its libraries."""

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psutil

from streamproc.bench.accelerator import FREE, accelerated
from streamproc.bench.events import Part, make_records, send, store_clips
from streamproc.bench.floor import Cost, measure_floor
from streamproc.bench.machine import Machine, look
from streamproc.errors import StreamprocError
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerProcess, parse_histogram
from streamproc.operate.outputs import Outputs, open_outputs
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


class UntrueRunError(StreamprocError):
    """Raised when the run was not what it claims to measure."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a worker has done so far."""

    micro_batch_records: tuple[float, int]
    """Sum and count, here and below."""
    transaction_seconds: tuple[float, int]
    cpu_s: float
    """Of its main process, user and system."""
    lines: int
    """Of micro-batches in its log."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the worker did in the measured stretch."""

    events: int
    seconds: float
    """From the first commit to the last; the events of the first are not in the rate, since they began before."""
    events_per_s: float
    cpu_ms_per_event: float
    transactions: int
    mean_micro_batch: float
    mean_transaction_ms: float


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """Everything that was measured."""

    machine: Machine
    trust: Trust
    worker: Figures
    floor: Sequence[Cost]

    @property
    def floor_events_per_s(self) -> float:
        """If there were nothing but the parts of the floor, one after the other."""
        return self.worker.events / sum(cost.wall_s for cost in self.floor)

    @property
    def floor_cpu_ms_per_event(self) -> float:
        """CPU time of all parts."""
        return 1000 * sum(cost.cpu_s for cost in self.floor) / self.worker.events

    @property
    def speed_ratio(self) -> float:
        """The worker's rate over the floor's."""
        return self.worker.events_per_s / self.floor_events_per_s

    @property
    def cpu_ratio(self) -> float:
        """The worker's CPU time over the floor's."""
        return self.worker.cpu_ms_per_event / self.floor_cpu_ms_per_event


def run_pipeline(settings: Settings, events: int, trust: Trust, report: Report, told: Told) -> PipelineReport:
    """Measure once; what was started is stopped, whatever happens. Raises StreamprocError."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        worker = WorkerProcess(repeated(up.settings, trust), settings.local.state_dir / "bench-worker.log")
        stack.callback(shielded, worker.stop)
        worker.start()
        figures, parts = measure(up.settings, worker, events, told)
        worker.stop()
        told("floor", "the libraries alone", 0, 1)
        floor = measure_floor(up.settings, parts, a_result(up.settings))
        told("floor", "the libraries alone", 1, 1)
    return PipelineReport(machine, trust, figures, floor)


def repeated(settings: Settings, trust: Trust) -> Settings:
    """A worker whose device answers at once: a slow one would make for small micro-batches, whatever is known."""
    return settings.model_copy(
        update={
            "dedupe": settings.dedupe.model_copy(update={"trust": trust}),
            "model": accelerated(settings.model, FREE, uuid.uuid4().hex[:8]),
        }
    )


def measure(settings: Settings, worker: WorkerProcess, events: int, told: Told) -> tuple[Figures, Sequence[Part]]:
    """Let a worker that was started warm up, then do so many events; where those came to lie.

    Raises WorkerEndedError, UntrueRunError.
    """
    clips, run = store_clips(settings), f"bench-{uuid.uuid4().hex[:8]}"
    records = make_records(settings, clips, run, WARM_UP + events)
    with open_outputs(settings, [settings.topics.ledger], None) as ledger:
        follow(ledger, settings.topics.recordings, send(settings, records[:WARM_UP]), worker, told, "warm-up")
        before = moment(worker)
        parts = send(settings, records[WARM_UP:])
        follow(ledger, settings.topics.recordings, parts, worker, told, "measured")
        after = moment(worker)
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


def moment(worker: WorkerProcess) -> Moment:
    """Ask the worker and the system. Raises WorkerEndedError."""
    text = worker.metrics()
    cpu = psutil.Process(worker.pid).cpu_times()
    return Moment(
        micro_batch_records=parse_histogram(text, "streamproc_micro_batch_records"),
        transaction_seconds=parse_histogram(text, "streamproc_transaction_seconds"),
        cpu_s=cpu.user + cpu.system,
        lines=len(micro_batches(worker)),
    )


def micro_batches(worker: WorkerProcess) -> Sequence[Mapping[str, Any]]:
    """The line of each micro-batch that was committed, in order."""
    return [line for line in worker.lines() if line.get("event") == "micro-batch committed"]


def figures(events: int, before: Moment, after: Moment, lines: Sequence[Mapping[str, Any]]) -> Figures:
    """The difference of two moments. Raises UntrueRunError for fewer than two micro-batches in between."""
    if len(lines) < 2:  # noqa: PLR2004  # a stretch has two ends
        raise UntrueRunError(f"{len(lines)} micro-batches make no rate: measure more events")
    first, *later = lines
    at_first, at_last = (datetime.fromisoformat(line["at"]) for line in (first, later[-1]))
    seconds = (at_last - at_first).total_seconds()
    records, transactions = _difference(before.micro_batch_records, after.micro_batch_records)
    in_transactions, _ = _difference(before.transaction_seconds, after.transaction_seconds)
    return Figures(
        events=events,
        seconds=seconds,
        events_per_s=sum(line["records"] for line in later) / seconds,
        cpu_ms_per_event=1000 * (after.cpu_s - before.cpu_s) / events,
        transactions=transactions,
        mean_micro_batch=records / transactions,
        mean_transaction_ms=1000 * in_transactions / transactions,
    )


def _difference(before: tuple[float, int], after: tuple[float, int]) -> tuple[float, int]:
    return after[0] - before[0], after[1] - before[1]


def a_result(settings: Settings) -> EmotionResult:
    """One row that a worker wrote a moment ago. Raises UntrueRunError when there is none."""
    since_ms = SystemClock().wall_ms() - 1000 * PATIENCE_S
    with open_outputs(settings, [settings.topics.results], since_ms) as outputs:
        for row in outputs.rest():
            if isinstance(row, EmotionResult):
                return row
    raise UntrueRunError(f"{settings.topics.results} has no row of this run")
