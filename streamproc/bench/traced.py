"""A worker that writes down when each record came to which stage: ``python -m streamproc.bench.traced``.

A worker's own log has a line for each micro-batch, and its metrics have sums: neither shows what went on at one moment.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamproc import wiring
from streamproc.settings import load_settings
from streamproc.telemetry.voice import configure_log
from streamproc.worker import runtime
from streamproc.worker.core.batch import MicroBatch
from streamproc.worker.pipeline import Pipeline
from streamproc.worker.ports import Spans

VARIABLE = "STREAMPROC_BENCH_TRACE"
"""Names the file that is written, one line for each step of a record: what, micro-batch, place in it, when (s)."""


class TracedPipeline(Pipeline):
    """Notes what the stages hand each other."""

    def _join(self, spans: Spans | None) -> None:
        super()._join(spans)
        self._lines = Path(os.environ[VARIABLE]).open("w", encoding="ascii", buffering=1 << 16)  # noqa: SIM115  # as long as the worker
        admit, recall, fetch, lookup = self._admit, self._recall, self._fetch, self._lookup
        admit.give = self._noting("admitted", admit.give)
        recall.give = self._noting("to fetch", recall.give)
        fetch.give = self._noting("fetched", fetch.give)
        lookup.give = self._noting("to prepare", lookup.give)
        self._prepare.decoded = self._noting("prepared", self._prepare.decoded)
        self._infer.computed = self._noting("computed", self._infer.computed)
        lookup.known = self._noting("known", lookup.known)
        settle, close_head = self._batches.settle, self._batches.close_head

        def settled(taken: Any, end: Any) -> None:
            settle(taken, end)
            self._note("settled", *taken.ident)

        def closed() -> MicroBatch:
            batch = close_head()
            self._note("committed", batch.ident, -1)
            self._lines.flush()
            return batch

        self._batches.settle, self._batches.close_head = settled, closed  # type: ignore[method-assign]  # here alone

    def _noting(self, what: str, give: Callable[..., None]) -> Callable[..., None]:
        def noted(item: Any, *rest: Any) -> None:
            taken = item.taken if hasattr(item, "taken") else item.admitted.taken
            self._note(what, *taken.ident)
            give(item, *rest)

        return noted

    def _note(self, what: str, batch: int, index: int) -> None:
        self._lines.write(f"{what}\t{batch}\t{index}\t{time.monotonic():.6f}\n")


if __name__ == "__main__":
    runtime.Pipeline = TracedPipeline  # type: ignore[attr-defined]  # here alone
    settings = load_settings()
    configure_log(settings.log)
    wiring.run_worker(settings)
