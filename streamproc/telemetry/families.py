"""What metrics are made of: a line of the list, a family of series with a closed set of labels, and who makes both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, disable_created_metrics

from streamproc.telemetry.measured import Measured
from streamproc.telemetry.tally import Count, Counts, Tallies, Tally

PREFIX = "streamproc_"

L = TypeVar("L")
M = TypeVar("M")
V = TypeVar("V", bound=str)

Kind = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One line of the list, for the documentation and the dashboards."""

    name: str
    kind: Kind
    unit: str
    labels: Mapping[str, tuple[str, ...]]
    """Each label, and everything that it can say."""
    why: str


class Family(Generic[L, M]):
    """One metric with labels from a closed set: ``family[value]`` is the series, of several labels a tuple."""

    def __init__(self, series: Mapping[L, M]) -> None:
        self._series = dict(series)

    def __getitem__(self, value: L) -> M:
        """The series of ``value``. Raises KeyError for a value outside the closed set."""
        return self._series[value]


class Maker:
    """Makes metrics on one registry and keeps the list of them.

    When a counter began is a sample of its own to the client library, and none of the list: the whole process has none.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types for it
        self._registry = registry
        self._definitions: list[Definition] = []

    @property
    def definitions(self) -> Sequence[Definition]:
        """The list, in the order of declaration."""
        return tuple(self._definitions)

    def counter(self, name: str, unit: str, why: str) -> Counter:
        """One counter."""
        return Counter(self._define(name, "counter", unit, why), why, registry=self._registry)

    def count(self, name: str, unit: str, why: str) -> Count:
        """One counter that only the loop adds to, for each record."""
        count = Count()
        self._registry.register(Counts(self._define(name, "counter", unit, why), why, (), {(): count}))
        return count

    def gauge(self, name: str, unit: str, why: str) -> Gauge:
        """One gauge."""
        return Gauge(self._define(name, "gauge", unit, why), why, registry=self._registry)

    def measured(self, name: str, unit: str, why: str) -> Measured:
        """One gauge that is not there before somebody measured."""
        full = self._define(name, "gauge", unit, why)
        measured = Measured(full, why)
        self._registry.register(measured)
        return measured

    def histogram(self, name: str, unit: str, buckets: Sequence[float], why: str) -> Tally:
        """One histogram."""
        tally = Tally(buckets)
        full = self._define(name, "histogram", unit, why)
        self._registry.register(Tallies(full, why, (), {(): tally}))
        return tally

    def info(self, name: str, why: str, values: Mapping[str, str]) -> None:
        """A series whose labels are what it says."""
        self._define(f"{name}_info", "info", "", why)
        Info(PREFIX + name, why, registry=self._registry).info(dict(values))

    def counters(self, name: str, unit: str, label: str, values: Iterable[V], why: str) -> Family[V, Counter]:
        """A counter for each value of one label."""
        known = tuple(values)
        full = self._define(name, "counter", unit, why, {label: known})
        metric = Counter(full, why, [label], registry=self._registry)
        return Family({value: metric.labels(value) for value in known})

    def counts(self, name: str, unit: str, label: str, values: Iterable[V], why: str) -> Family[V, Count]:
        """The same for each value of one label."""
        known = tuple(values)
        counts = {value: Count() for value in known}
        full = self._define(name, "counter", unit, why, {label: known})
        self._registry.register(Counts(full, why, (label,), {(value,): count for value, count in counts.items()}))
        return Family(counts)

    def gauges(self, name: str, unit: str, label: str, values: Iterable[V], why: str) -> Family[V, Gauge]:
        """A gauge for each value of one label."""
        known = tuple(values)
        full = self._define(name, "gauge", unit, why, {label: known})
        metric = Gauge(full, why, [label], registry=self._registry)
        return Family({value: metric.labels(value) for value in known})

    def histograms(
        self, name: str, unit: str, buckets: Sequence[float], label: str, values: Iterable[V], why: str
    ) -> Family[V, Tally]:
        """A histogram for each value of one label."""
        known = tuple(values)
        tallies = {value: Tally(buckets) for value in known}
        full = self._define(name, "histogram", unit, why, {label: known})
        self._registry.register(Tallies(full, why, (label,), {(value,): tally for value, tally in tallies.items()}))
        return Family(tallies)

    def pairs(
        self, name: str, unit: str, labels: tuple[str, str], pairs: Iterable[tuple[str, str]], why: str
    ) -> Family[tuple[str, str], Counter]:
        """A counter for each pair of values of two labels."""
        known = tuple(pairs)
        values = {label: tuple(dict.fromkeys(pair[place] for pair in known)) for place, label in enumerate(labels)}
        full = self._define(name, "counter", unit, why, values)
        metric = Counter(full, why, labels, registry=self._registry)
        return Family({pair: metric.labels(*pair) for pair in known})

    def _define(
        self, name: str, kind: Kind, unit: str, why: str, labels: Mapping[str, Iterable[str]] | None = None
    ) -> str:
        closed = {label: tuple(map(str, values)) for label, values in (labels or {}).items()}
        definition = Definition(PREFIX + name, kind, unit, closed, why)
        self._definitions.append(definition)
        return definition.name
