"""Bring Connect to what the files and the settings say, and say what it does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec

from streamproc.errors import StreamprocError, UsageError
from streamproc.kafka.admin import create_warehouse_topics
from streamproc.operate.warehouse.connectors import Connector, connectors, names
from streamproc.operate.warehouse.halt import NONE_YET, need_registry, settle
from streamproc.operate.warehouse.login import Login, explained, try_login
from streamproc.operate.warehouse.rest import Connect, State, open_connect
from streamproc.operate.warehouse.skipped import SKIPPED
from streamproc.settings import Settings

MISSING = State("MISSING", (), None)
EACH_TIME = (
    "What fails again each time: the log of `streamproc connect watch` (that of `up`: .streamproc/local/watch/log) "
    "names the places that a connector does not get past, and `streamproc connect skip` passes over the record there "
    "that ends it"
)
"""What helps where starting again does not."""
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

    @property
    def well(self) -> bool:
        """Whether it runs, and nothing that was tried keeps rows from coming."""
        return self.state.running and not self.state.problem


class NotRunningError(StreamprocError):
    """Raised when a connector does not run."""

    def __init__(self, one: Applied) -> None:
        why = one.state.problem or f"it is {one.state.connector}, its tasks are {', '.join(one.state.tasks) or 'none'}"
        super().__init__(f"the connector {one.name} does not run: {why}. The log of Kafka Connect says more")
        self.applied = one


def apply(settings: Settings) -> Sequence[Applied]:
    """Make or change each connector that is not as it has to be; start again what failed or stopped; wait for them all.

    Doing it again changes nothing. What does not run within ``connect.timeout_s`` is told as it is then; a login to
    the warehouse that fails from here is told as a problem of what runs too. Raises UsageError for what Connect refuses
    and for a schema of PostgreSQL that is not there, DependencyDownError, also where tasks would start while the
    registry is away.
    """
    with open_connect(settings.connect) as connect:
        # Who has not started Connect yet hears of that first, and not of settings for what it would be told.
        connect.config(names(settings)[0])
        _need_namespace(settings)
        changes = {one.name: _bring(connect, one, settings) for one in connectors(settings)}
        updated = [name for name, change in changes.items() if change is Change.UPDATED]
        # Until Connect ends them, what is told of a changed connector is told of its tasks before.
        settle(lambda: [connect.state(name) or NONE_YET for name in updated], OLD_TASKS_S, lambda one: not one.running)
        states = settle(lambda: [connect.state(name) or NONE_YET for name in changes], settings.connect.timeout_s)
    login = try_login(settings.warehouse)
    states = [replace(state, problem=_why(state, login)) for state in states]
    return [Applied(name, change, state) for (name, change), state in zip(changes.items(), states, strict=True)]


def _why(state: State, login: Login) -> str | None:
    """A sink tries a login for longer than anybody waits here, and one that runs finds out by its next record."""
    if state.problem is None:
        return login.problem or None
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
    found = [Applied(name, Change.LOOKED_AT, connect.state(name) or MISSING) for name in names(settings)]
    if {one.state for one in found} == {MISSING}:
        connect.cluster()  # another server has no connectors either
    return found


def differing(connect: Connect, settings: Settings) -> Sequence[str]:
    """Connectors that were made with other settings than these; what somebody added stays out of it.

    Raises UsageError where the settings do not say enough to make them, DependencyDownError.
    """
    found = ((one, connect.config(one.name)) for one in connectors(settings))
    return [one.name for one, there in found if there is not None and not one.config.items() <= there.items()]


def _need_namespace(settings: Settings) -> None:
    """Raise UsageError where the schema is not there, as far as can be told from here: tasks find out by a record."""
    if find_spec("psycopg") is None:
        return
    from streamproc.operate.warehouse.namespace import told_namespace  # noqa: PLC0415  # it needs an extra

    if told := told_namespace(settings.warehouse):
        raise UsageError(told)


def _bring(connect: Connect, one: Connector, settings: Settings) -> Change:
    there = connect.config(one.name)
    kept = {SKIPPED: there[SKIPPED]} if there is not None and SKIPPED in there else {}
    if there != {"name": one.name, **one.config, **kept}:
        need_registry(settings, one)
        connect.put(one.name, {**one.config, **kept})
        return Change.CREATED if there is None else Change.UPDATED
    state = connect.state(one.name)
    if state is not None and state.failed:
        need_registry(settings, one)
        connect.restart_failed(one.name)
        return Change.RESTARTED
    if state is not None and state.halted:
        need_registry(settings, one)
        connect.resume(one.name)
        return Change.RESUMED
    return Change.UNCHANGED
