"""Bring Connect to what the files and the settings say, and say what it does."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from streamproc.errors import DependencyDownError, StreamprocError, UsageError
from streamproc.kafka.admin import create_warehouse_topics
from streamproc.kafka.registry import ask as ask_registry
from streamproc.kafka.registry import connect as connect_registry
from streamproc.operate.place import Place
from streamproc.operate.warehouse.connectors import Connector, connectors
from streamproc.operate.warehouse.login import Login, explained, try_login
from streamproc.operate.warehouse.rest import NAME, WAIT_S, Connect, State, open_connect
from streamproc.settings import Settings

NONE_YET = State("UNASSIGNED", (), None)
MISSING = State("MISSING", (), None)
OLD_TASKS_S = 3.0
"""Until Connect ends the tasks of a connector that was changed. One worker: 0.03 s; several have to agree first."""


class Change(StrEnum):
    """What was done to a connector."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    RESTARTED = "restarted"
    """It was as it has to be, and had failed."""
    RESUMED = "resumed"
    """It was as it has to be, and stopped or paused."""
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
    """Make or change each connector that is not as it has to be; start again what failed or stopped; wait for them all.

    Doing it again changes nothing. What does not run within ``connect.timeout_s`` is told as it is then. Raises
    UsageError for what Connect refuses, DependencyDownError, also where tasks would start while the registry is away.
    """
    with open_connect(settings.connect) as connect:
        changes = {one.name: _bring(connect, one, settings) for one in connectors(settings)}
        updated = [name for name, change in changes.items() if change is Change.UPDATED]
        # Until Connect ends them, what is told of a changed connector is told of its tasks before.
        _settle(lambda: [connect.state(name) or NONE_YET for name in updated], OLD_TASKS_S, lambda one: not one.running)
        states = _settle(lambda: [connect.state(name) or NONE_YET for name in changes], settings.connect.timeout_s)
    if not all(state.running for state in states):
        login = try_login(settings.warehouse)
        states = [replace(state, problem=_why(state, login)) for state in states]
    return [Applied(name, change, state) for (name, change), state in zip(changes.items(), states, strict=True)]


def _why(state: State, login: Login) -> str | None:
    """A sink tries a login for longer than anybody waits here: then it is said before it fails of it."""
    if state.problem is None:
        return None if state.running else login.problem or None
    return explained(state.problem, login)


def apply_whole(settings: Settings) -> None:
    """``apply``, with the topic of their dead letters made before, and all of them run. Raises NotRunningError too."""
    create_warehouse_topics(settings)
    for one in apply(settings):
        if not one.state.running:
            raise NotRunningError(one)


def look(settings: Settings) -> Sequence[Applied]:
    """What each connector does, those that are not there too. Raises UsageError, DependencyDownError."""
    with open_connect(settings.connect) as connect:
        return look_by(connect, settings)


def look_by(connect: Connect, settings: Settings) -> Sequence[Applied]:
    """The same, by a client that is there already."""
    found = [Applied(one.name, Change.LOOKED_AT, connect.state(one.name) or MISSING) for one in connectors(settings)]
    if {one.state for one in found} == {MISSING}:
        connect.cluster()  # another server has no connectors either
    return found


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
    with _halted(settings, name) as connect:
        connect.forget_offsets(name)


def pass_over(settings: Settings, name: str, place: Place) -> None:
    """Let a connector go on behind a record: it, and what was not yet read before it, is no row.

    For a record that ends the connector each time it is read. Raises UsageError, DependencyDownError.
    """
    with _halted(settings, name) as connect:
        stands = connect.places(name)
        if not any(one.partition == place.partition and one.offset <= place.offset for one in stands):
            where = f"what it reads next is {', '.join(map(str, stands))}" if stands else "it has read nothing yet"
            raise UsageError(f"{name} does not get to {place}: {where}")
        connect.move(name, Place(place.partition, place.offset + 1))


@contextmanager
def _halted(settings: Settings, name: str) -> Iterator[Connect]:
    """A connector without a task, which goes on after the block. What its tasks need to begin is there before."""
    known = {one.name: one for one in connectors(settings)}
    if name not in known:
        raise UsageError(f"there is no connector {name}; there are {', '.join(known)}")
    with open_connect(settings.connect) as connect:
        if connect.config(name) is None:
            raise UsageError(f"Kafka Connect has no connector {name} yet: `streamproc connect apply` makes it")
        _need_registry(settings, known[name])
        connect.stop(name)
        try:
            (state,) = _settle(
                lambda: [connect.state(name) or NONE_YET], settings.connect.timeout_s, lambda one: not one.tasks
            )
            if state.tasks:
                raise DependencyDownError(NAME, f"{name} does not end its tasks; is the database away?")
            yield connect
        finally:  # a connector that is stopped is mended by nobody
            connect.resume(name)


def _need_registry(settings: Settings, one: Connector) -> None:
    """Before tasks start: one that starts without the registry sends good records to its dead letters."""
    if one.asks_registry:
        with connect_registry(settings.registry) as registry:
            ask_registry(registry, registry.get_subjects)


def _bring(connect: Connect, one: Connector, settings: Settings) -> Change:
    there = connect.config(one.name)
    if there != {"name": one.name, **one.config}:
        _need_registry(settings, one)
        connect.put(one.name, one.config)
        return Change.CREATED if there is None else Change.UPDATED
    state = connect.state(one.name)
    if state is not None and state.failed:
        _need_registry(settings, one)
        connect.restart_failed(one.name)
        return Change.RESTARTED
    if state is not None and state.halted:
        _need_registry(settings, one)
        connect.resume(one.name)
        return Change.RESUMED
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
