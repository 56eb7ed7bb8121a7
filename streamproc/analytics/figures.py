"""What `/metrics` says of the app: a closed list, found when it is asked for."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamproc.analytics.app import Feed
from streamproc.analytics.desk import Desk
from streamproc.analytics.view import LEFT_OUT

PREFIX = "streamproc_analytics_"


@dataclass(frozen=True, slots=True, eq=False)
class Figures(Collector):
    """Of one process; what it says of results is of all, as everybody hears it. Asked on the threads of HTTP."""

    feed: Feed
    desk: Desk
    ready: Callable[[], bool]

    def collect(self) -> Iterator[Metric]:
        """Every figure, as of now."""
        with self.desk.lock:
            watermark = self.desk.view.watermark
            told = [Counter(self.desk.view.left_out(progress)) for progress in self.desk.view.progress]
        left_out: Counter[str] = sum(told, Counter())
        yield CounterMetricFamily(f"{PREFIX}rows", "Rows that this process took.", self.feed.rows)
        yield _gauge("partitions", "Partitions that this process owns.", self.feed.partitions)
        yield _gauge("ready", "1 while all that is kept is read and no server is waited for.", float(self.ready()))
        age_s = time.time() - watermark / 1000 if watermark else 0.0
        yield _gauge("watermark_age_seconds", "Since the latest recording that was seen began.", age_s)
        age_s = time.monotonic() - self.feed.told_at
        yield _gauge("told_age_seconds", "Since the others last heard all that this process knows.", age_s)
        why = GaugeMetricFamily(f"{PREFIX}left_out", "Rows that are in no window, of all partitions.", labels=["why"])
        for name in LEFT_OUT:
            why.add_metric([name], left_out[name])
        yield why


def _gauge(name: str, why: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, why, value)


def registry_of(figures: Figures) -> CollectorRegistry:
    """What an encoder reads them from."""
    registry = CollectorRegistry()
    registry.register(figures)
    return registry
