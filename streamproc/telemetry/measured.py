"""A measured value: a gauge that has no series before it was measured once, since no number would be true."""

from collections.abc import Iterable

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Measured(Collector):
    """One gauge without labels. One thread sets, any reads."""

    def __init__(self, name: str, why: str) -> None:
        self._name = name
        self._why = why
        self._value: float | None = None

    def set(self, value: float) -> None:
        """Note what was measured last."""
        self._value = value

    def describe(self) -> Iterable[Metric]:
        """The metric without its series."""
        yield GaugeMetricFamily(self._name, self._why)

    def collect(self) -> Iterable[Metric]:
        """The metric as it is now."""
        yield GaugeMetricFamily(self._name, self._why, value=self._value)
