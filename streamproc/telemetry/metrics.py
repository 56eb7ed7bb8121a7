"""Every metric there is: one closed list, typed, so that a misspelt name fails mypy and not a dashboard.

A label takes its values from a closed set, never from a key, a hash or a message, and every series exists from the
start at zero: a rate over a counter that was not there before would miss its first increment. The one exception is a
gauge that is measured: before that no number would be true.
"""

import math
import platform
import time
from collections.abc import Callable, Sequence
from enum import StrEnum

from prometheus_client import CollectorRegistry, ProcessCollector

from streamproc import __version__
from streamproc.errors import Reason, Stage
from streamproc.telemetry.families import Definition, Maker
from streamproc.telemetry.refresh import Refresh
from streamproc.telemetry.timesheet import PAIRS, Hand, Timesheets

OUTCOMES = ("result", "dead_letter", "retry")
"""``records.outcome.OutcomeKind``, which this room must not import; a test holds them equal."""
TIERS = ("memory", "redis", "archive", "computed")
"""``records.analysis.Tier``, likewise."""

_STEP_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
"""From a Redis round trip to the drain budget."""
_WAIT_SECONDS = (*_STEP_SECONDS, 120, 300, 600, 1800, 3600)
"""As long as a record may wait for a broken server, or on lanes."""
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
_RECORDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


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
    TOO_LARGE = "too_large"
    BEHIND = "behind"
    """The archive took longer than what waits for it may weigh, or than the worker went on."""


class Queue(StrEnum):
    """A topic that the worker takes records from; the lanes by their turn, since their names are settings."""

    RECORDINGS = "recordings"
    SOON = "soon"
    LATER = "later"


LANES = (Queue.SOON, Queue.LATER)


class Content(StrEnum):
    """What a pass over the device is made of."""

    AUDIO = "audio"
    PADDING = "padding"


class Memory(StrEnum):
    """A part of a memory; what is free is the difference."""

    USED = "used"
    TOTAL = "total"


class Process(StrEnum):
    """A process of a worker, or all its decoder children together."""

    MAIN = "main"
    DEVICE = "device"
    DECODERS = "decoders"


class Metrics:
    """The metrics of one worker, on a registry of their own (no global state: two workers can share a process)."""

    def __init__(self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = registry or CollectorRegistry()
        self.refresh = Refresh()
        self.registry.register(self.refresh)  # before all others, which show what it sets
        self.sheets = Timesheets(clock)
        self._shown = dict.fromkeys(PAIRS, 0.0)
        self.refresh.add(self._show_time)
        self._maker = make = Maker(self.registry)
        self._records(make)
        self._flow(make)
        self._work(make)
        self._machine(make)
        self._others(make)
        build = {"version": __version__, "python": platform.python_version()}
        make.info("build", "Which version runs where.", build)
        ProcessCollector(registry=self.registry)

    @property
    def definitions(self) -> Sequence[Definition]:
        """The list, in the order of declaration."""
        return self._maker.definitions

    def _show_time(self) -> None:
        for pair, seconds in self.sheets.spent().items():
            self.time_seconds[pair].inc(max(0.0, seconds - self._shown[pair]))
            self._shown[pair] = max(seconds, self._shown[pair])
        for hand, count in self.sheets.count().items():
            self.threads[hand].set(count)

    def _records(self, make: Maker) -> None:
        """What became of records, and how long that took."""
        self.records = make.counters("records_total", "", "outcome", OUTCOMES, "Input offsets by what became of them.")
        self.dead_letters = make.counters(
            "dead_letters_total", "", "reason", Reason, "Which reason needs a human first."
        )
        self.retries = make.counters("retries_total", "", "lane", LANES, "Records sent to a lane: what failed for now.")
        self.audio_seconds = make.counter(
            "audio_seconds_total", "seconds", "Audio of committed results: its rate is audio-seconds per second."
        )
        self.response_seconds = make.histogram(
            "response_seconds", "seconds", _WAIT_SECONDS, "From a record's first timestamp to its committed end."
        )
        self.stage_seconds = make.histograms(
            "stage_seconds", "seconds", _STEP_SECONDS, "stage", Stage, "Where a record's time goes."
        )
        self.micro_batch_records = make.histogram(
            "micro_batch_records", "records", _RECORDS, "How full a transaction is: small ones waste commits."
        )
        self.micro_batch_seconds = make.histogram(
            "micro_batch_seconds", "seconds", _STEP_SECONDS, "From poll to commit; its tail is the result's age."
        )
        self.transaction_seconds = make.histogram(
            "transaction_seconds", "seconds", _STEP_SECONDS, "What the broker takes to commit."
        )
        self.commit_seconds = make.histogram(
            "commit_seconds",
            "seconds",
            _STEP_SECONDS,
            "From the first try to what is committed: aborts and waits count.",
        )
        self.transaction_aborts = make.counter("transaction_aborts_total", "", "Work that was produced again.")

    def _flow(self, make: Maker) -> None:
        """What is on its way, and what waits behind it."""
        self.partitions = make.gauge("partitions", "", "Held by this worker: 0 is one too many, or one that just came.")
        self.in_flight_records = make.gauge("in_flight_records", "records", "Taken and not yet committed.")
        self.in_flight_bytes = make.gauge("in_flight_bytes", "bytes", "Against flow.in_flight_bytes.")
        self.in_flight_audio_seconds = make.gauge(
            "in_flight_audio_seconds", "seconds", "Against flow.in_flight_audio_s."
        )
        self.oldest_in_flight_seconds = make.gauge(
            "oldest_in_flight_seconds",
            "seconds",
            "Age of the oldest record since its poll: it grows when work is stuck.",
        )
        self.lag_records = make.gauges(
            "lag_records", "records", "topic", Queue, "Not yet committed on held partitions; control records count."
        )
        self.lag_seconds = make.gauges(
            "lag_seconds", "seconds", "topic", Queue, "Age of the oldest of them at most, by the topic's timestamps."
        )
        self.backlog_audio_seconds = make.gauge(
            "backlog_audio_seconds", "seconds", "Their audio, by the mean of what was committed: what to scale on."
        )
        self.speed = make.gauge(
            "speed_ratio", "ratio", "Audio-seconds per second, over the last minutes in which there was work."
        )
        self.drain_seconds = make.gauge(
            "drain_seconds", "seconds", "The backlog at that speed; NaN before there is a speed."
        )
        self.brake_on = make.gauge("brake_on", "", "1 while no records are taken: too many became dead letters.")
        self.brake_probes = make.counter(
            "brake_probes_total", "", "Tries of the newest records while the brake was on."
        )
        self.ready = make.gauge("ready", "", "1 while /readyz says so.")

    def _work(self, make: Maker) -> None:
        """Where analyses came from, and what the device did for them."""
        self.analyses = make.counts("analyses_total", "", "tier", TIERS, "Where analyses came from: the hit rate.")
        self.saved_audio_seconds = make.count(
            "saved_audio_seconds_total", "seconds", "Audio that a tier spared the device."
        )
        self.saved_device_seconds = make.count(
            "saved_device_seconds_total", "seconds", "What the device would have taken for it, as it predicts."
        )
        self.fetches_skipped = make.count(
            "fetches_skipped_total", "", "Recordings that were known without their bytes (dedupe.trust)."
        )
        self.resumed_audio_seconds = make.counter(
            "resumed_audio_seconds_total", "seconds", "Audio of long recordings that a former owner had computed."
        )
        self.computed_audio_seconds = make.counter(
            "computed_audio_seconds_total", "seconds", "Audio that the device ran."
        )
        self.device_batch_seconds = make.histogram(
            "device_batch_seconds", "seconds", _STEP_SECONDS, "One compute batch on the device."
        )
        self.batch_fill = make.histogram(
            "batch_fill_ratio", "ratio", _SHARES, "Items of a compute batch, of what the device likes best."
        )
        self.pass_audio_seconds = make.counters(
            "pass_audio_seconds_total",
            "seconds",
            "content",
            Content,
            "What passes hold: padding is computed for nothing.",
        )

    def _machine(self, make: Maker) -> None:
        """Time and memory."""
        self.threads = make.gauges(
            "threads", "", "thread", Hand, "How many of each there are: times of io are sums over its threads."
        )
        self.time_seconds = make.pairs(
            "time_seconds_total",
            "seconds",
            ("thread", "activity"),
            PAIRS,
            "What threads and the device do with their time; device/compute is how long a batch was on it.",
        )
        self.memory_bytes = make.gauges("memory_bytes", "bytes", "process", Process, "Resident, of this worker.")
        self.host_memory_bytes = make.gauges(
            "host_memory_bytes", "bytes", "part", Memory, "Of this computer or container."
        )
        self.device_memory_bytes = make.gauges(
            "device_memory_bytes",
            "bytes",
            "part",
            Memory,
            "Of the accelerator, whoever uses it; 0 without one, or when it is not told.",
        )
        self.decoder_restarts = make.counter("decoder_restarts_total", "", "Decoder children that died or were killed.")
        self.device_restarts = make.counter(
            "device_restarts_total", "", "Device processes that died and were replaced."
        )

    def _others(self, make: Maker) -> None:
        """Servers and the group."""
        self.tier_errors = make.counters(
            "tier_errors_total", "", "fault", TierFault, "Work that Redis or the archive did not save."
        )
        self.rebalances = make.counters("rebalances_total", "", "event", Rebalance, "lost means somebody was too slow.")
        self.dependency_down = make.gauges(
            "dependency_down", "", "dependency", Dependency, "1 while this server is away: we wait, or go without."
        )
        self.clock_skew_seconds = make.measured(
            "broker_clock_skew_seconds", "seconds", "The broker's clock less ours; no series before a commit told."
        )
        self.drain_seconds.set(math.nan)
