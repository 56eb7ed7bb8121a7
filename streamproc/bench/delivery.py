"""What exactly-once costs: the same records through our source and both of our sinks, in turn, on a real broker."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from statistics import median

from streamproc.bench.machine import Machine, look
from streamproc.bench.pipeline import PARTITIONS as WORKER_PARTITIONS
from streamproc.bench.pipeline import PREFIX, repeated
from streamproc.bench.relay import Relay, Turn
from streamproc.bench.scratch import PARTITIONS, VALUE_BYTES, fill, scratch
from streamproc.bench.spread import Spread, ratios, spread
from streamproc.bench.workers import WorkersFigures, measure_workers
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.settings import Settings
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

SIZES = {64: 64, 512: 24, 2048: 8}
"""Records of a micro-batch, and how many of it make a turn: so many that a turn outlasts what disturbs it."""
SPARE = 1.25
"""Partitions are not filled evenly, and the last records of one would come late."""
PACKAGES = ("confluent-kafka",)


@dataclass(frozen=True, slots=True)
class Side:
    """One delivery at one size, over all rounds."""

    records_per_s: Spread
    commit_ms: float
    """Median of all commits."""
    cpu_us: float
    """Of processor time for each record, median of the turns."""
    waits_ms: float
    """Of each micro-batch, what is left when processor time is taken off: answers that are waited for. Median."""


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """Both deliveries at one size."""

    size: int
    exactly_once: Side
    at_least_once: Side
    ratio: Spread
    """Exactly-once over at-least-once in records/s, round by round."""
    cpu_ratio: Spread
    """The same in processor time for each record."""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """Everything that was measured."""

    machine: Machine
    protocol: str
    rounds: int
    partitions: int
    value_bytes: int
    sizes: Sequence[SizeFigures]
    workers: WorkersFigures


def run_delivery(
    settings: Settings, rounds: int, events: int, worker_rounds: int, report: Report, told: Told
) -> DeliveryReport:
    """Measure; what was started is stopped, whatever happens. Raises StreamprocError, KafkaException."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, WORKER_PARTITIONS), report, prepare)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        own = stack.enter_context(scratch(up.settings))
        most = max(size * micro_batches for size, micro_batches in SIZES.items())
        told("input", "records", 0, 1)
        fill(own, round(SPARE * most * (rounds + 1)))
        told("input", "records", 1, 1)
        sizes = [_measure(own, size, micro_batches, rounds, told) for size, micro_batches in SIZES.items()]
        workers = measure_workers(repeated(up.settings, "declared"), events, worker_rounds, told)
    return DeliveryReport(machine, own.kafka.group_protocol, rounds, PARTITIONS, VALUE_BYTES, sizes, workers)


def _measure(settings: Settings, size: int, micro_batches: int, rounds: int, told: Told) -> SizeFigures:
    """Both relays stay open; each has one turn in a round, the first round does not count, and who begins changes."""
    name = f"{size} records"
    with ExitStack() as stack:
        relays = [
            stack.enter_context(closing(Relay(_settings(settings, delivery, size))))
            for delivery in ("exactly_once", "at_least_once")
        ]
        turns: tuple[list[Turn], list[Turn]] = ([], [])
        for number in range(rounds + 1):
            for which in (0, 1) if number % 2 else (1, 0):
                turn = relays[which].turn(micro_batches)
                if number:
                    turns[which].append(turn)
            told(name, "rounds", number, rounds)
    return compare(size, *turns)


def _settings(settings: Settings, delivery: str, size: int) -> Settings:
    own = f"{settings.kafka.group}-{size}-{delivery}"
    kafka = settings.kafka.model_copy(update={"group": own, "transactional_prefix": own, "delivery": delivery})
    flow = settings.flow.model_copy(update={"micro_batch_records": size})
    return settings.model_copy(update={"kafka": kafka, "flow": flow})


def compare(size: int, exactly_once: Sequence[Turn], at_least_once: Sequence[Turn]) -> SizeFigures:
    """Sum the turns up. Raises ValueError for none, or for two that are not equally many."""
    return SizeFigures(
        size=size,
        exactly_once=_side(exactly_once),
        at_least_once=_side(at_least_once),
        ratio=ratios(_rates(exactly_once), _rates(at_least_once)),
        cpu_ratio=ratios(_cpu_us(exactly_once), _cpu_us(at_least_once)),
    )


def _side(turns: Sequence[Turn]) -> Side:
    return Side(
        records_per_s=spread(_rates(turns)),
        commit_ms=1000 * median(seconds for turn in turns for seconds in turn.commit_s),
        cpu_us=median(_cpu_us(turns)),
        waits_ms=median(1000 * (turn.seconds - turn.cpu_s) / len(turn.commit_s) for turn in turns),
    )


def _rates(turns: Sequence[Turn]) -> Sequence[float]:
    return [turn.records / turn.seconds for turn in turns]


def _cpu_us(turns: Sequence[Turn]) -> Sequence[float]:
    return [1e6 * turn.cpu_s / turn.records for turn in turns]
