"""Keep connectors going: Kafka Connect does not start a task again that failed, whatever it failed of.

Debezium's sink waits for a database that is away, but a connection that is lost in the middle of a commit ends its
task for good (3.6.0, measured). Rows are upserted and offsets are committed after them, so starting again is safe.
"""

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict

from streamproc.errors import DependencyDownError
from streamproc.kafka.log import GoneError
from streamproc.kafka.registry import Registry, ask
from streamproc.kafka.registry import connect as connect_registry
from streamproc.operate.place import Place
from streamproc.operate.warehouse.apply import MISSING, Applied, look_by
from streamproc.operate.warehouse.connectors import connectors
from streamproc.operate.warehouse.login import DIALECT, Login, explained, try_login
from streamproc.operate.warehouse.measure import Measured
from streamproc.operate.warehouse.rest import Connect, State, open_connect
from streamproc.settings import Settings
from streamproc.telemetry.connectors import ConnectorMetrics
from streamproc.telemetry.http import Check
from streamproc.telemetry.log import get_log

LOOK_S = 2.0
MEASURE_S = 15.0
"""Between two looks at brokers and database, which cost more than one at Connect."""
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0
"""Between two starts of one connector; doubled each time, and short again once it ran for the longest."""

STARTS = 4
"""After so many without getting any further it is said where a connector stands."""

log = get_log(__name__)


class Backoff:
    """When a connector that fails again and again is started next."""

    def __init__(self) -> None:
        self._wait_s: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def due(self, name: str, now: float) -> bool:
        """Whether to start it now."""
        return self._waited_s(name, now) >= self._wait_s.get(name, 0.0)

    def ran(self, name: str, now: float) -> bool:
        """Whether it did not fail for the longest wait since it was last started."""
        return self._waited_s(name, now) >= self._wait_s.get(name, 0.0) + LONGEST_WAIT_S

    def started(self, name: str, now: float) -> None:
        """It was started: the next time is further away."""
        wait_s = self._wait_s.get(name, 0.0)
        self._wait_s[name] = FIRST_WAIT_S if self.ran(name, now) else min(LONGEST_WAIT_S, max(FIRST_WAIT_S, 2 * wait_s))
        self._last[name] = now

    def _waited_s(self, name: str, now: float) -> float:
        return now - self._last.get(name, -LONGEST_WAIT_S)


class Standstill:
    """Where a connector stands that fails again and again."""

    def __init__(self) -> None:
        self._starts: dict[str, Mapping[Place, int]] = {}

    def started(self, name: str, places: Collection[Place]) -> Collection[Place]:
        """Places that it did not pass over the last ``STARTS`` starts, none before so many."""
        before = self._starts.get(name, {})
        now = self._starts[name] = {place: before.get(place, 0) + 1 for place in places}
        return [place for place, starts in now.items() if starts >= STARTS]

    def ran(self, name: str) -> None:
        """It failed no more: what it fails of next is something else."""
        self._starts.pop(name, None)


class Watch:
    """Looks at connectors and starts again what failed. ``run`` is called by one thread; the rest by any.

    ``unread`` is asked which of some places have records at or behind them; ``measure`` sets what brokers and database
    tell, and says why they do not.
    """

    def __init__(
        self,
        settings: Settings,
        monotonic: Callable[[], float],
        unread: Callable[[Collection[Place]], Collection[Place]],
        measure: Callable[[ConnectorMetrics], Measured],
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._unread = unread
        self._backoff = Backoff()
        self._standstill = Standstill()
        known = connectors(settings)
        self._ask_registry = frozenset(one.name for one in known if one.asks_registry)
        self._states: Mapping[str, State] = {}
        self._settling: Sequence[str] = ()
        self._problems: dict[str, str] = {}
        self._away = ""
        self._measured = Measured()
        self._measure = measure
        self._next_measure = -math.inf
        self.metrics = ConnectorMetrics([one.name for one in known])

    def run(self, stop: threading.Event) -> None:
        """Watch until told to stop. What does not answer is waited for. Raises UsageError."""
        settings = self._settings
        with open_connect(settings.connect) as connect, connect_registry(settings.registry) as registry:
            while not stop.is_set():
                try:
                    self.step(connect, registry)
                    self._tell("")
                except DependencyDownError as error:
                    self._tell(str(error))
                self.measure()
                stop.wait(LOOK_S)

    def step(self, connect: Connect, registry: Registry) -> None:
        """Look once, and start again what failed. Raises DependencyDownError once all that can be done is done."""
        found = self._look(connect)
        now = self._monotonic()
        due = [one for one in found if one.state.failed and self._backoff.due(one.name, now)]
        away: list[DependencyDownError] = []
        if any(one.name in self._ask_registry for one in due):
            try:
                ask(registry, registry.get_subjects)
            except DependencyDownError as error:
                away.append(error)
                # A task that starts without the registry sends good records to its dead letters.
                due = [one for one in due if one.name not in self._ask_registry]
        shut = any(DIALECT in (one.state.problem or "") for one in due)
        login = try_login(self._settings.warehouse) if shut else Login()
        for one in due:
            try:
                self._start(connect, one, login, now)
            except DependencyDownError as error:
                away.append(error)
        if away:
            raise away[0]

    def measure(self) -> None:
        """Look at brokers and database, if that was not done for a while."""
        now = self._monotonic()
        if now >= self._next_measure:
            self._next_measure = now + MEASURE_S
            self._measured = self._measure(self.metrics)

    def ready(self) -> Check:
        """Whether all connectors run, and did for a while, and brokers and warehouse let them, as far as is known."""
        running = bool(self._states) and all(state.running for state in self._states.values()) and not self._settling
        return Check(running and not self._away and self._measured == Measured(), self.status())

    def status(self) -> Mapping[str, object]:
        """What each connector does, and why it does not."""
        states = {name: "/".join((one.connector, *one.tasks)) for name, one in self._states.items()}
        problems = {name: self._problems.get(name, one.problem) for name, one in self._states.items() if one.problem}
        settling = list(self._settling)
        told = {"connectors": states, "problems": problems, "settling": settling}
        return {**told, "away": self._away, **asdict(self._measured)}

    def _look(self, connect: Connect) -> Sequence[Applied]:
        """What each does now. Where nobody answers none runs, as far as is known.

        Nor does one that was started again a moment ago: one that fails each time runs for seconds after each start.
        """
        found: Sequence[Applied] = ()
        try:
            found = look_by(connect, self._settings)
        finally:
            now = self._monotonic()
            self._states = {one.name: one.state for one in found}
            running = [name for name, state in self._states.items() if state.running]
            self._settling = [name for name in running if not self._backoff.ran(name, now)]
            for name in self.metrics.names:
                self.metrics.running[name].set(name in running and name not in self._settling)
        return found

    def _start(self, connect: Connect, one: Applied, login: Login, now: float) -> None:
        if self._backoff.ran(one.name, now):
            self._standstill.ran(one.name)
            self._problems.pop(one.name, None)
        self._backoff.started(one.name, now)
        problem = explained(one.state.problem or "", login)
        again = problem == self._problems.get(one.name)
        self._problems[one.name] = problem
        log.warning("connector is started again", dependency=one.name, detail="as before" if again else problem)
        still = self._standstill.started(one.name, connect.places(one.name))
        connect.restart_failed(one.name)
        self.metrics.restarts[one.name].inc()
        if still and DIALECT not in (one.state.problem or ""):  # then no record is the cause
            self._tell_places(one.name, still)

    def _tell_places(self, name: str, still: Collection[Place]) -> None:
        """Say where a connector stands, of partitions that it has something to read of: any of those may hold it up."""
        try:
            unread = self._unread(still)
        except (DependencyDownError, GoneError) as error:
            log.warning("it cannot be told where a connector stands", dependency=name, detail=str(error))
            return
        if unread:
            told = ", ".join(str(place) for place in sorted(unread))
            detail = f"it does not get past {told}: look at the cause, and at the records there, before you skip any"
            log.error("connector fails again and again", dependency=name, detail=detail)

    def _tell(self, away: str) -> None:
        """Say once that something is away, and once that it is back."""
        if away and not self._away:
            log.warning("waiting for a server", detail=away)
        elif self._away and not away:
            missing = [name for name, state in self._states.items() if state == MISSING]
            log.info("watching connectors", detail=f"missing: {', '.join(missing) or 'none'}")
        self._away = away
