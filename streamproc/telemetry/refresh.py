"""Refresh: what is read when somebody looks, so that nothing is paid for it in between."""

import threading
from collections.abc import Callable, Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamproc.telemetry.log import get_log

_log = get_log(__name__)


class Refresh(Collector):
    """The first of a registry's collectors: sets the gauges that the others then show, for one scrape at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: list[Callable[[], None]] = []
        self._failing: set[int] = set()
        """Places of those that failed at the last scrape."""

    def add(self, reading: Callable[[], None]) -> None:
        """Have something called before each scrape, on the thread that answers it."""
        self._readings.append(reading)

    def describe(self) -> Iterable[Metric]:
        """No metric of its own."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read everything; no metric of its own. What cannot be read hides nothing of the rest."""
        with self._lock:
            for place, reading in enumerate(self._readings):
                self._read(place, reading)
        return ()

    def _read(self, place: int, reading: Callable[[], None]) -> None:
        try:
            reading()
        except Exception:  # noqa: BLE001  # the log gets the traceback, once until it can be read again
            if place not in self._failing:
                _log.exception("a reading failed, its metrics are of before")
            self._failing.add(place)
        else:
            self._failing.discard(place)
