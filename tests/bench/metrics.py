"""What metrics and time sheets cost where work is cheapest: ``python -m tests.bench.metrics``.

Repeated events through the whole pipeline on fakes, with metrics and without, in turns of one run; processor time. A
real worker spends far more on each event (docs/benchmarks.md, "The worker"), so its share is smaller than the one here.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from streamproc.telemetry.metrics import Metrics
from streamproc.telemetry.timesheet import NO_SHEET, Activity, Hand, Sheet
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.device import IDENTITY
from streamproc.testing.harness import WorkerHarness
from streamproc.worker.pipeline import Pipeline

ROUNDS = 200
RECORDS = 512


class Off:
    """Metrics that note nothing."""

    def __getattr__(self, _name: str) -> "Off":
        return self

    def __getitem__(self, _label: object) -> "Off":
        return self

    def inc(self, _amount: float = 1) -> None:
        pass

    set = observe = inc


class Side:
    """A pipeline that knows every recording."""

    def __init__(self, metrics: Metrics, sheet: Sheet) -> None:
        self._worker = worker = WorkerHarness()
        worker.pipeline = Pipeline(
            worker.settings, replace(worker.world, sheet=sheet), IDENTITY, "0", worker.ownership, metrics
        )
        worker.assign(0)
        worker.store.put("recordings", "a", recording(1000, name="a"), "audio/wav")
        self._number = 0
        self.turn()

    def turn(self) -> float:
        """Processor time of one event, in microseconds."""
        records = [self._worker.record(encode_event(object_key="a", event_id=str(n))) for n in range(RECORDS)]
        began = time.process_time()
        self._worker.poll(*records)
        self._worker.settle()
        took = time.process_time() - began
        self._worker.sink.transactions.clear()
        return 1e6 * took / RECORDS


def spread(values: Sequence[float]) -> str:
    """Quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    metrics = Metrics()
    on = Side(metrics, metrics.sheets.open(Hand.LOOP, "loop", Activity.STEER))
    off = Side(cast("Metrics", cast("Any", Off())), NO_SHEET)
    pairs = []
    for number in range(ROUNDS):
        turns = [side.turn() for side in ((on, off) if number % 2 else (off, on))]
        pairs.append(tuple(turns if number % 2 else turns[::-1]))
    costs = [with_them - without for with_them, without in pairs]
    print(f"with:    {spread([one for one, _ in pairs])} us an event")  # noqa: T201  # it talks to whoever runs it
    print(f"without: {spread([other for _, other in pairs])} us an event")  # noqa: T201  # same
    print(f"cost:    {spread(costs)} us an event")  # noqa: T201  # same
    share = statistics.median(costs) / statistics.median(other for _, other in pairs)
    print(f"share:   {share:.1%}")  # noqa: T201  # same


if __name__ == "__main__":
    main()
