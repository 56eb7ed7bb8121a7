"""What the connectors do, how far behind they are, and whether the warehouse lets them in."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.log import GoneError
from streamproc.operate.warehouse.apply import MISSING, Applied, differing, look
from streamproc.operate.warehouse.aside import Aside, aside
from streamproc.operate.warehouse.connectors import sources
from streamproc.operate.warehouse.halt import FAILS_S, until
from streamproc.operate.warehouse.lag import Lag, lag
from streamproc.operate.warehouse.login import Login, explained, try_login
from streamproc.operate.warehouse.rest import State, open_connect
from streamproc.settings import Settings

LATE_S = 30.0
"""A connector that is behind for longer, and runs, is looked at for as long as one takes to fail."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One connector."""

    name: str
    state: State
    problem: str | None
    """Why it, or a task of it, fails, in words that say what to do; None while it does not."""
    lag: Lag | None
    """None where the brokers do not tell, and of one that is not there."""
    topic: str = ""
    """What it reads."""


@dataclass(frozen=True, slots=True)
class Status:
    """All connectors, and what they stand on."""

    connectors: Sequence[Seen]
    login: Login
    aside: Aside | None
    """None where the brokers do not tell."""
    unseen: str
    """Why lag or what was put aside is not told; empty where all is."""
    namespace: str = ""
    """The schema that they write to."""
    differing: Sequence[str] = ()
    """Those that were made with other settings than these."""

    @property
    def well(self) -> bool:
        """Whether all connectors run, and nothing that was tried keeps rows from coming, or from being seen to."""
        return all(one.state.running for one in self.connectors) and not self.login.problem and not self.unseen


def status(settings: Settings, now_ms: int) -> Status:
    """As of now, in ms since the epoch. Raises UsageError, and DependencyDownError where Connect does not answer."""
    states = look(settings)
    login = try_login(settings.warehouse)
    lags, put_aside, unseen = _brokers_say(settings, now_ms)
    late = {one.name for one, behind in zip(states, lags, strict=False) if behind.seconds > LATE_S}
    if any(one.name in late and one.state.running for one in states):
        states = until(lambda: look(settings), FAILS_S, lambda found: not _run(found, late))
    topics = sources(settings)
    seen = [
        Seen(
            one.name,
            one.state,
            explained(one.state.problem, login) if one.state.problem else None,
            lags[number] if number < len(lags) and one.state != MISSING else None,
            topics[one.name],
        )
        for number, one in enumerate(states)
    ]
    return Status(seen, login, put_aside, unseen, settings.warehouse.namespace, _differing(settings))


def _differing(settings: Settings) -> Sequence[str]:
    try:
        with open_connect(settings.connect) as connect:
            return differing(connect, settings)
    except UsageError:  # what they would be like is not told by the settings: `connect apply` says what lacks
        return ()


def _run(found: Sequence[Applied], names: Collection[str]) -> bool:
    return all(one.state.running for one in found if one.name in names)


def _brokers_say(settings: Settings, now_ms: int) -> tuple[Sequence[Lag], Aside | None, str]:
    """Brokers that are away are asked once: each question would wait for as long."""
    lags: list[Lag] = []
    try:
        lags += (lag(settings, name, topic, now_ms) for name, topic in sources(settings).items())
        return lags, aside(settings, 1), ""
    except (DependencyDownError, GoneError, UsageError) as error:
        return lags, None, str(error)
