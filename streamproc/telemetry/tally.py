"""Tallies and counts: what costs a fraction of a microsecond to add to, for what is counted for each record.

The client library's own histograms and counters take locks; several for each record would be a part of its time that is
worth saving. These have no lock and one writer: the loop.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally:
    """How many values fell below each bound, and their sum. One thread writes, any reads."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Values up to each bound, the last of which is infinite, and the sum."""
        bounds = (*map(floatToGoString, self._bounds), "+Inf")
        return list(zip(bounds, accumulate(map(float, self._counts)), strict=True)), self._sum


class Count:
    """A sum that only grows. One thread writes, any reads."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add what is not negative."""
        self.value += amount


class Counts(Collector):
    """A counter metric: a count for each set of labels."""

    def __init__(self, name: str, why: str, labels: Sequence[str], counts: Mapping[tuple[str, ...], Count]) -> None:
        self._name = name
        self._why = why
        self._labels = labels
        self._counts = counts

    def describe(self) -> Iterable[Metric]:
        """The metric without its series."""
        yield CounterMetricFamily(self._name, self._why, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """The metric as it is now."""
        family = CounterMetricFamily(self._name, self._why, labels=self._labels)
        for values, count in self._counts.items():
            family.add_metric(values, count.value)
        yield family


class Tallies(Collector):
    """A histogram metric: a tally for each set of labels."""

    def __init__(self, name: str, why: str, labels: Sequence[str], tallies: Mapping[tuple[str, ...], Tally]) -> None:
        self._name = name
        self._why = why
        self._labels = labels
        self._tallies = tallies

    def describe(self) -> Iterable[Metric]:
        """The metric without its series."""
        yield HistogramMetricFamily(self._name, self._why, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """The metric as it is now."""
        family = HistogramMetricFamily(self._name, self._why, labels=self._labels)
        for values, tally in self._tallies.items():
            buckets, total = tally.read()
            family.add_metric(values, buckets=buckets, sum_value=total)
        yield family
