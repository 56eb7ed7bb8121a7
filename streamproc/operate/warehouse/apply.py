"""Bring Connect to what the files and the settings say, and say what it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from streamproc.errors import DependencyDownError, StreamprocError, UsageError
from streamproc.operate.warehouse.connectors import Connector, connectors
from streamproc.operate.warehouse.rest import NAME, WAIT_S, Connect, State, open_connect
from streamproc.settings import Settings

NONE_YET = State("UNASSIGNED", (), None)
MISSING = State("MISSING", (), None)


class Change(StrEnum):
    """What was done to a connector."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    RESTARTED = "restarted"
    """It was as it has to be, and had failed."""
    LOOKED_AT = "-"


@dataclass(frozen=True, slots=True)
class Applied:
    """One connector: what was done, and what it does now."""

    name: str
    change: Change
    state: State


class NotRunningError(StreamprocError):
    """Raised when a connector does not run."""

    def __init__(self, one: Applied) -> None:
        why = one.state.problem or f"it is {one.state.connector}, its tasks are {', '.join(one.state.tasks) or 'none'}"
        super().__init__(f"the connector {one.name} does not run: {why}. The log of Kafka Connect says more")
        self.applied = one


def apply(settings: Settings) -> Sequence[Applied]:
    """Make or change each connector that is not as it has to be; start again what failed; wait until all work.

    Doing it again changes nothing. What does not run within ``connect.timeout_s`` is told as it is then. Raises
    UsageError for what Connect refuses, DependencyDownError.
    """
    with open_connect(settings.connect) as connect:
        changes = [(one, _bring(connect, one)) for one in connectors(settings)]
        states = _settle(
            lambda: [connect.state(one.name) or NONE_YET for one, _ in changes], settings.connect.timeout_s
        )
    return [Applied(one.name, change, state) for (one, change), state in zip(changes, states, strict=True)]


def apply_whole(settings: Settings) -> None:
    """``apply``, and all of them run. Raises NotRunningError too."""
    for one in apply(settings):
        if not one.state.running:
            raise NotRunningError(one)


def look(settings: Settings) -> Sequence[Applied]:
    """What each connector does, those that are not there too. Raises UsageError, DependencyDownError."""
    with open_connect(settings.connect) as connect:
        return [Applied(one.name, Change.LOOKED_AT, connect.state(one.name) or MISSING) for one in connectors(settings)]


def remove(settings: Settings) -> None:
    """Take every connector away and see its tasks end; the offsets that they have read to stay.

    Raises UsageError, DependencyDownError.
    """
    names = [one.name for one in connectors(settings)]
    with open_connect(settings.connect) as connect:
        for name in names:
            connect.remove(name)
        left = _settle(
            lambda: [connect.state(name) or MISSING for name in names],
            settings.connect.timeout_s,
            lambda state: state == MISSING,
        )
    if set(left) != {MISSING}:
        raise DependencyDownError(NAME, f"{', '.join(names)} do not end")


def read_again(settings: Settings, name: str) -> None:
    """Let a connector read its topic from the first record that is kept: rows are upserted, so none comes twice.

    For rows that went to the connector's dead letters and would be taken now. Raises UsageError, DependencyDownError.
    """
    names = [one.name for one in connectors(settings)]
    if name not in names:
        raise UsageError(f"there is no connector {name}; there are {', '.join(names)}")
    with open_connect(settings.connect) as connect:
        connect.stop(name)
        try:
            _settle(lambda: [connect.state(name) or NONE_YET], settings.connect.timeout_s, lambda one: not one.tasks)
            connect.forget_offsets(name)
        finally:  # a connector that is stopped is mended by nobody
            connect.resume(name)


def _bring(connect: Connect, one: Connector) -> Change:
    there = connect.config(one.name)
    if there != {"name": one.name, **one.config}:
        connect.put(one.name, one.config)
        return Change.CREATED if there is None else Change.UPDATED
    state = connect.state(one.name)
    if state is not None and state.failed:
        connect.restart_failed(one.name)
        return Change.RESTARTED
    return Change.UNCHANGED


def _settle(
    ask: Callable[[], Sequence[State]], timeout_s: float, settled: Callable[[State], bool] = lambda one: one.running
) -> Sequence[State]:
    """Ask until all have settled or the time is over; the last answer."""
    again = Retrying(
        retry=retry_if_result(lambda states: not all(map(settled, states))),
        stop=stop_after_delay(timeout_s),
        wait=wait_fixed(WAIT_S),
        retry_error_callback=lambda tries: tries.outcome.result() if tries.outcome else [],
    )
    states: Sequence[State] = again(ask)
    return states
