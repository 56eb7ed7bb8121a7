"""What a worker did in a stretch of time: the difference of two moments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psutil

from streamproc.errors import StreamprocError
from streamproc.local.worker import WorkerProcess, parse_histogram, parse_series
from streamproc.records.analysis import Tier


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
    analyses: Mapping[str, float] = field(default_factory=dict)
    """By the tier that they came from."""


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


def moment(worker: WorkerProcess) -> Moment:
    """Ask the worker and the system. Raises WorkerEndedError."""
    text = worker.metrics()
    cpu = psutil.Process(worker.pid).cpu_times()
    return Moment(
        micro_batch_records=parse_histogram(text, "streamproc_micro_batch_records"),
        transaction_seconds=parse_histogram(text, "streamproc_transaction_seconds"),
        cpu_s=cpu.user + cpu.system,
        lines=len(micro_batches(worker)),
        analyses=parse_series(text, "streamproc_analyses_total", "tier"),
    )


def micro_batches(worker: WorkerProcess) -> Sequence[Mapping[str, Any]]:
    """The line of each micro-batch that was committed, in order."""
    return [line for line in worker.lines() if line.get("event") == "micro-batch committed"]


def check_tier(before: Moment, after: Moment, tier: Tier, events: int) -> None:
    """Raise UntrueRunError unless the analyses of so many events came from one tier."""
    came = after.analyses.get(tier, 0) - before.analyses.get(tier, 0)
    if came != events:
        raise UntrueRunError(f"{came:g} of {events} analyses came from {tier}: the others cost something else")


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
