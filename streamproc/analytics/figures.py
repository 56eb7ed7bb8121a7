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
from streamproc.analytics.metrics import LEFT_OUT_ROWS, PARTITIONS, READY, ROWS, TOLD_AGE, WATERMARK_AGE
from streamproc.analytics.view import LEFT_OUT
from streamproc.telemetry.families import Definition


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
        yield CounterMetricFamily(ROWS.name.removesuffix("_total"), ROWS.why, self.feed.rows)
        yield _gauge(PARTITIONS, self.feed.partitions)
        yield _gauge(READY, float(self.ready()))
        yield _gauge(WATERMARK_AGE, time.time() - watermark / 1000 if watermark else 0.0)
        yield _gauge(TOLD_AGE, time.monotonic() - min(self.feed.told_at, self.desk.heard_at))
        why = GaugeMetricFamily(LEFT_OUT_ROWS.name, LEFT_OUT_ROWS.why, labels=tuple(LEFT_OUT_ROWS.labels))
        for name in LEFT_OUT:
            why.add_metric([name], left_out[name])
        yield why


def _gauge(one: Definition, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(one.name, one.why, value)


def registry_of(figures: Figures) -> CollectorRegistry:
    """What an encoder reads them from."""
    registry = CollectorRegistry()
    registry.register(figures)
    return registry
