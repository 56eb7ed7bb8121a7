"""Refresh: what is read when somebody looks, so that nothing is paid for it in between."""

import threading
from collections.abc import Callable, Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Refresh(Collector):
    """The first of a registry's collectors: sets the gauges that the others then show, for one scrape at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: list[Callable[[], None]] = []

    def add(self, reading: Callable[[], None]) -> None:
        """Have something called before each scrape, on the thread that answers it."""
        self._readings.append(reading)

    def describe(self) -> Iterable[Metric]:
        """No metric of its own."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read everything; no metric of its own."""
        with self._lock:
            for reading in self._readings:
                reading()
        return ()
