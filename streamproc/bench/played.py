"""Events sent at a pace of their own, whatever the worker does, and when a reader had each result."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np

from streamproc.bench.stretch import UntrueRunError
from streamproc.kafka.publisher import Publisher
from streamproc.kafka.tail import Tail
from streamproc.local.worker import WorkerProcess
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings
from streamproc.telemetry.told import Told

PATIENCE_S = 120
POLL_S = 0.01
"""How finely arrivals are told apart, and events sent."""


@dataclass(frozen=True, slots=True)
class Latency:
    """From an event that is due until a reader of committed rows has its result, in ms."""

    mean: float
    p50: float
    p95: float
    p99: float


def latency(seconds: Sequence[float]) -> Latency:
    """Sum up. Raises ValueError for none."""
    if not seconds:
        raise ValueError("nothing was measured")
    ms = 1000 * np.array(seconds)
    return Latency(float(ms.mean()), *(float(q) for q in np.percentile(ms, (50, 95, 99))))


@dataclass(frozen=True, slots=True)
class Line:
    """The producer of events and the reader of results. What a first event waits for them is not the worker's."""

    publisher: Publisher
    tail: Tail


@contextmanager
def open_line(settings: Settings) -> Iterator[Line]:
    """From now on; connected when one event has been played. Raises DependencyDownError."""
    with (
        closing(Tail(settings, [settings.topics.results], None)) as tail,
        closing(Publisher(settings)) as publisher,
    ):
        yield Line(publisher, tail)


def play(
    line: Line,
    worker: WorkerProcess,
    records: Sequence[OutputRecord],
    events_per_s: float,
    name: str,
    told: Told,
) -> Sequence[float]:
    """Send these, each with a key of its own; the seconds that each took, in their order.

    A result is looked for by its key, which is its event's. What is sent late, because this process was held up, counts
    from when it was due. Raises WorkerEndedError; UntrueRunError when some never come.
    """
    due = {record.key: number / events_per_s for number, record in enumerate(records)}
    took: dict[bytes | None, float] = {}
    began = progressed = time.monotonic()
    sent = 0
    while len(took) < len(records):
        now = time.monotonic() - began
        for number in range(sent, min(len(records), int(now * events_per_s) + 1)):
            line.publisher.send(records[number], str(number))
            sent = number + 1
        arrived = [row for row in line.tail.poll(POLL_S) if row.key in due and row.key not in took]
        at = time.monotonic()
        took |= {row.key: at - began - due[row.key] for row in arrived}
        if arrived:
            progressed = at
            told(name, "events", len(took), len(records))
        worker.check()
        if at - progressed > PATIENCE_S:
            raise UntrueRunError(f"{len(records) - len(took)} results never came. The worker's log: {worker.log}")
    line.publisher.flush()
    return [took[record.key] for record in records]
