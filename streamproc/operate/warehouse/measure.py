"""How far connectors are behind and whether the warehouse lets them in, measured again and again."""

from collections.abc import Callable
from dataclasses import dataclass

from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.log import GoneError
from streamproc.operate.warehouse.aside import aside
from streamproc.operate.warehouse.connectors import sources
from streamproc.operate.warehouse.lag import lag
from streamproc.operate.warehouse.login import try_login
from streamproc.settings import Settings
from streamproc.telemetry.connectors import ConnectorMetrics
from streamproc.telemetry.log import get_log

log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class Measured:
    """What keeps rows from coming, or from being seen to; each empty where nothing does, or it was not tried."""

    warehouse: str = ""
    """Why PostgreSQL lets connectors not in."""
    brokers: str = ""
    """Why it cannot be told how far connectors are."""


class Measure:
    """Asks brokers and database, and sets the metrics. Used by one thread; what does not answer ends nothing."""

    def __init__(self, settings: Settings, wall_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._wall_ms = wall_ms
        self._sources = sources(settings)
        self._missed = ""

    def __call__(self, metrics: ConnectorMetrics) -> Measured:
        """Measure once."""
        missed = ""
        try:
            for name, topic in self._sources.items():
                behind = lag(self._settings, name, topic, self._wall_ms())
                metrics.lag_records[name].set(behind.records)
                metrics.lag_seconds[name].set(behind.seconds)
            metrics.put_aside.set(aside(self._settings, 0).ever)
        except (DependencyDownError, GoneError, UsageError) as error:
            metrics.lag_unknown()
            missed = str(error)
        if missed and missed != self._missed:
            log.warning("it cannot be told how far connectors are", detail=missed)
        self._missed = missed
        login = try_login(self._settings.warehouse)
        if not login.untried:
            metrics.warehouse_down.set(bool(login.problem))
        return Measured(login.problem, missed)
