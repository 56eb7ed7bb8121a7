"""Keep connectors going: Kafka Connect does not start a task again that failed, whatever it failed of.

Debezium's sink waits for a database that is away, but a connection that is lost in the middle of a commit ends its
task for good (3.6.0, measured). Rows are upserted and offsets are committed after them, so starting again is safe.
"""

import threading
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from streamproc.errors import DependencyDownError
from streamproc.kafka.registry import Registry, ask
from streamproc.kafka.registry import connect as connect_registry
from streamproc.operate.warehouse.apply import MISSING, Applied, look
from streamproc.operate.warehouse.rest import State, open_connect
from streamproc.settings import Settings
from streamproc.telemetry.http import Check
from streamproc.telemetry.log import get_log

LOOK_S = 2.0
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0
"""Between two starts of one connector; doubled each time, and short again once it ran for the longest."""

log = get_log(__name__)


class Backoff:
    """When a connector that fails again and again is started next."""

    def __init__(self) -> None:
        self._wait_s: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def due(self, name: str, now: float) -> bool:
        """Whether to start it now; if so, the next time is further away."""
        waited_s = now - self._last.get(name, -LONGEST_WAIT_S)
        wait_s = self._wait_s.get(name, 0.0)
        if waited_s < wait_s:
            return False
        quiet = waited_s >= wait_s + LONGEST_WAIT_S
        self._wait_s[name] = FIRST_WAIT_S if quiet else min(LONGEST_WAIT_S, max(FIRST_WAIT_S, 2 * wait_s))
        self._last[name] = now
        return True


class Watch:
    """Looks at connectors and starts again what failed. ``run`` is called by one thread; the rest by any."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._backoff = Backoff()
        self._states: Mapping[str, State] = {}
        self._away = ""
        self.metrics = CollectorRegistry()
        self._running = Gauge(
            "streamproc_connector_running", "Whether a connector does all it is to do.", ["connector"],
            registry=self.metrics,
        )  # fmt: skip
        self._restarts = Counter(
            "streamproc_connector_restarts", "How often a connector was started again.", ["connector"],
            registry=self.metrics,
        )  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        """Watch until told to stop. What does not answer is waited for. Raises UsageError."""
        while not stop.is_set():
            try:
                self.step()
                self._tell("")
            except DependencyDownError as error:
                self._tell(str(error))
            stop.wait(LOOK_S)

    def step(self) -> Sequence[str]:
        """Look once; the names of what was started again. Raises DependencyDownError, UsageError."""
        found = look(self._settings)
        self._states = {one.name: one.state for one in found}
        for one in found:
            self._running.labels(one.name).set(one.state.running)
        failed = [one for one in found if one.state.failed and self._backoff.due(one.name, self._monotonic())]
        if failed:
            self._restart(failed)
        return [one.name for one in failed]

    def ready(self) -> Check:
        """Whether all connectors run, as far as is known."""
        running = bool(self._states) and all(state.running for state in self._states.values())
        return Check(running and not self._away, self.status())

    def status(self) -> Mapping[str, object]:
        """What each connector does."""
        states = {name: "/".join((one.connector, *one.tasks)) for name, one in self._states.items()}
        return {"connectors": states, "away": self._away}

    def _restart(self, failed: Sequence[Applied]) -> None:
        with connect_registry(self._settings.registry) as registry, open_connect(self._settings.connect) as connect:
            _answers(registry)  # a task that starts without it sends good records to its dead letters
            for one in failed:
                log.warning("connector is started again", dependency=one.name, detail=one.state.problem or "")
                connect.restart_failed(one.name)
                self._restarts.labels(one.name).inc()

    def _tell(self, away: str) -> None:
        """Say once that something is away, and once that it is back."""
        if away and not self._away:
            log.warning("waiting for a server", detail=away)
        elif self._away and not away:
            missing = [name for name, state in self._states.items() if state == MISSING]
            log.info("watching connectors", detail=f"missing: {', '.join(missing) or 'none'}")
        self._away = away


def _answers(registry: Registry) -> None:
    ask(registry, registry.get_subjects)
