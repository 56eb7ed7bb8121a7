"""Every metric there is: one closed list, typed, so that a misspelt name fails mypy and not a dashboard.

A label takes its values from a closed set, never from a key, a hash or a message, and every series exists from the
start at zero: a rate over a counter that was not there before would miss its first increment.
"""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from streamproc import __version__
from streamproc.errors import Reason, Stage

PREFIX = "streamproc_"
OUTCOMES = ("result", "dead_letter", "retry")
"""``records.outcome.OutcomeKind``, which this room must not import; a test holds them equal."""
TIERS = ("memory", "redis", "archive", "computed")
"""``records.analysis.Tier``, likewise."""

_STEP_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
"""From a Redis round trip to the drain budget."""
_RECORDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

L = TypeVar("L", bound=str)
M = TypeVar("M", Counter, Gauge, Histogram)


class Dependency(StrEnum):
    """A server that the worker uses."""

    KAFKA = "kafka"
    REGISTRY = "registry"
    STORE = "store"
    REDIS = "redis"


class Rebalance(StrEnum):
    """What the group did with our partitions."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"


class TierFault(StrEnum):
    """Why a shared tier did not save the work that it could have."""

    UNAVAILABLE = "unavailable"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Definition:
    """One line of the list, for the documentation and the dashboards."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    unit: str
    label: str
    """Name of its label; empty when it has none."""
    values: tuple[str, ...]
    """Everything that the label can say."""
    why: str


class Family(Generic[L, M]):
    """One metric with one label from a closed set: ``family[value]`` is the series."""

    def __init__(self, metric: M, values: Iterable[L]) -> None:
        self._series: dict[L, M] = {value: metric.labels(value) for value in values}

    def __getitem__(self, value: L) -> M:
        """The series of ``value``. Raises KeyError for a value outside the closed set."""
        return self._series[value]


class Metrics:
    """The metrics of one worker, on a registry of their own (no global state: two workers can share a process)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._definitions: list[Definition] = []
        counter, gauge, seconds = self._counter, self._gauge, self._seconds

        self.records = self._by_label("records_total", "outcome", OUTCOMES, "Input offsets by what became of them.")
        self.dead_letters = self._by_label("dead_letters_total", "reason", Reason, "Which reason needs a human first.")
        self.stage_seconds = self._by_stage("stage_seconds", "Where a record's time goes.")
        self.micro_batch_records = self._histogram(
            "micro_batch_records", "records", _RECORDS, "How full a transaction is: small ones waste commits."
        )
        self.micro_batch_seconds = seconds("micro_batch_seconds", "From poll to commit; its tail is the result's age.")
        self.transaction_seconds = seconds("transaction_seconds", "What the broker takes to commit.")
        self.transaction_aborts = counter("transaction_aborts_total", "", "Work that was produced again.")
        self.in_flight_records = gauge("in_flight_records", "records", "Taken and not yet committed.")
        self.in_flight_bytes = gauge("in_flight_bytes", "bytes", "Against flow.in_flight_bytes.")
        self.in_flight_audio_seconds = gauge("in_flight_audio_seconds", "seconds", "Against flow.in_flight_audio_s.")
        self.analyses = self._by_label("analyses_total", "tier", TIERS, "Where analyses came from: the hit rate.")
        self.saved_audio_seconds = counter(
            "saved_audio_seconds_total", "seconds", "Audio that a tier spared the device."
        )
        self.fetches_skipped = counter(
            "fetches_skipped_total", "", "Recordings that were known without their bytes (dedupe.trust)."
        )
        self.resumed_audio_seconds = counter(
            "resumed_audio_seconds_total", "seconds", "Audio of long recordings that a former owner had computed."
        )
        self.computed_audio_seconds = counter("computed_audio_seconds_total", "seconds", "Audio that the device ran.")
        self.device_batch_seconds = seconds("device_batch_seconds", "One compute batch on the device.")
        self.decoder_restarts = counter("decoder_restarts_total", "", "Decoder children that died or were killed.")
        self.device_restarts = counter("device_restarts_total", "", "Device processes that died and were replaced.")
        self.tier_errors = self._by_label("tier_errors_total", "fault", TierFault, "Work that Redis did not save.")
        self.rebalances = self._by_label("rebalances_total", "event", Rebalance, "lost means somebody was too slow.")
        self.dependency_down = self._gauge_by_label(
            "dependency_down", "dependency", Dependency, "1 while this server is away: we wait, or go without."
        )
        self.brake_on = gauge("brake_on", "", "1 while no records are taken: too many became dead letters.")
        self.brake_probes = counter("brake_probes_total", "", "Tries of the newest records while the brake was on.")
        self._build_info()
        ProcessCollector(registry=self.registry)

    @property
    def definitions(self) -> Sequence[Definition]:
        """The list, in the order of declaration."""
        return tuple(self._definitions)

    def _build_info(self) -> None:
        why = "Which version runs where."
        self._define("build_info", "info", "", why)
        info = Info(PREFIX + "build", why, registry=self.registry)
        info.info({"version": __version__, "python": platform.python_version()})

    def _define(
        self,
        name: str,
        kind: Literal["counter", "gauge", "histogram", "info"],
        unit: str,
        why: str,
        label: str = "",
        values: Iterable[str] = (),
    ) -> str:
        definition = Definition(PREFIX + name, kind, unit, label, tuple(map(str, values)), why)
        self._definitions.append(definition)
        return definition.name

    def _counter(self, name: str, unit: str, why: str) -> Counter:
        return Counter(self._define(name, "counter", unit, why), why, registry=self.registry)

    def _gauge(self, name: str, unit: str, why: str) -> Gauge:
        return Gauge(self._define(name, "gauge", unit, why), why, registry=self.registry)

    def _histogram(self, name: str, unit: str, buckets: Sequence[float], why: str) -> Histogram:
        return Histogram(self._define(name, "histogram", unit, why), why, registry=self.registry, buckets=buckets)

    def _seconds(self, name: str, why: str) -> Histogram:
        return self._histogram(name, "seconds", _STEP_SECONDS, why)

    def _by_label(self, name: str, label: str, values: Iterable[L], why: str) -> Family[L, Counter]:
        known = tuple(values)
        full = self._define(name, "counter", "", why, label, known)
        return Family(Counter(full, why, [label], registry=self.registry), known)

    def _gauge_by_label(self, name: str, label: str, values: Iterable[L], why: str) -> Family[L, Gauge]:
        known = tuple(values)
        full = self._define(name, "gauge", "", why, label, known)
        return Family(Gauge(full, why, [label], registry=self.registry), known)

    def _by_stage(self, name: str, why: str) -> Family[Stage, Histogram]:
        full = self._define(name, "histogram", "seconds", why, "stage", Stage)
        metric = Histogram(full, why, ["stage"], registry=self.registry, buckets=_STEP_SECONDS)
        return Family(metric, Stage)
