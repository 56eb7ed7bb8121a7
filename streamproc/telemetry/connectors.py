"""The metrics of ``streamproc connect watch``: a closed list, as a worker's."""

import math
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from streamproc.telemetry.families import Definition, Maker

CONNECTORS = ("emotion-results", "emotion-segments", "dead-letters")
"""As they are called where the warehouse's namespace is PostgreSQL's own; else its name is before these."""


class ConnectorMetrics:
    """On a registry of their own, for connectors of these names. What is not known yet, or no more, is NaN."""

    def __init__(self, names: Sequence[str] = CONNECTORS) -> None:
        self.registry = CollectorRegistry()
        self.names = tuple(names)
        self._maker = make = Maker(self.registry)
        self.running = make.gauges(
            "connector_running",
            "",
            "connector",
            names,
            "1 while it does all it is to do; 0 too while Connect is away, and a while after each start by the watch.",
        )
        self.restarts = make.counters(
            "connector_restarts_total", "", "connector", names, "How often the watch started it again."
        )
        self.lag_records = make.gauges(
            "connector_lag_records", "records", "connector", names, "Committed, and neither a row yet nor put aside."
        )
        self.lag_seconds = make.gauges(
            "connector_lag_seconds", "seconds", "connector", names, "Age of the oldest of them: how old rows come."
        )
        self.put_aside = make.gauge(
            "connectors_put_aside_records", "records", "Ever put on topics.connect_dead_letters: look when it grows."
        )
        self.warehouse_down = make.gauge(
            "warehouse_down", "", "1 while PostgreSQL lets the connectors' user not in from here; NaN where not tried."
        )
        self.lag_unknown()
        self.put_aside.set(math.nan)
        self.warehouse_down.set(math.nan)

    @property
    def definitions(self) -> Sequence[Definition]:
        """The list, in the order of declaration."""
        return self._maker.definitions

    def lag_unknown(self) -> None:
        """Nobody tells how far connectors are: an old number would look like one of now."""
        for name in self.names:
            self.lag_records[name].set(math.nan)
            self.lag_seconds[name].set(math.nan)
