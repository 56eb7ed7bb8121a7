"""A connector without a task: what is needed to move it, and what is waited for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from streamproc.errors import DependencyDownError, StreamprocError, UsageError
from streamproc.kafka.registry import ask as ask_registry
from streamproc.kafka.registry import connect as connect_registry
from streamproc.operate.warehouse.connectors import Connector, connectors, names
from streamproc.operate.warehouse.rest import NAME, WAIT_S, Connect, State, open_connect
from streamproc.settings import Settings

T = TypeVar("T")
FAILS_S = 10.0
"""One that runs was perhaps started again just now, by the watch; one that cannot go on fails within seconds."""
NONE_YET = State("UNASSIGNED", (), None)


class LeftStoppedError(StreamprocError):
    """Raised when a connector that was stopped for a while could not be told to go on."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} is stopped and reads nothing: `streamproc connect apply` lets it go on ({why})")
        self.connector = name


@contextmanager
def halted(settings: Settings, name: str) -> Iterator[Connect]:
    """A connector without a task, which goes on after the block, however that ends; once what tasks need is there.

    Raises UsageError, DependencyDownError, LeftStoppedError.
    """
    need_known(settings, name)
    with open_connect(settings.connect) as connect:
        config_of(connect, name)
        need_registry(settings, find(settings, name))
        try:
            end_tasks(connect, settings, name)
            yield connect
        finally:
            try:
                connect.resume(name)
            except (DependencyDownError, KeyboardInterrupt) as error:
                raise LeftStoppedError(name, str(error) or "stopped by Ctrl-C") from error


def need_known(settings: Settings, name: str) -> None:
    """Raise UsageError where no connector of these settings is called so."""
    if name not in names(settings):
        raise UsageError(f"there is no connector {name}; there are {', '.join(names(settings))}")


def find(settings: Settings, name: str) -> Connector:
    """The connector of this name. Raises UsageError where the settings do not say enough to make it."""
    return next(one for one in connectors(settings) if one.name == name)


def config_of(connect: Connect, name: str) -> dict[str, str]:
    """What a connector was made with. Raises UsageError where there is none, DependencyDownError."""
    config = connect.config(name)
    if config is None:
        raise UsageError(f"Kafka Connect has no connector {name} yet: `streamproc connect apply` makes it")
    return dict(config)


def need_registry(settings: Settings, one: Connector) -> None:
    """Before tasks start: one that starts without the registry sends good records to its dead letters."""
    if one.asks_registry:
        with connect_registry(settings.registry) as registry:
            ask_registry(registry, registry.get_subjects)


def end_tasks(connect: Connect, settings: Settings, name: str) -> None:
    """Stop a connector and see its tasks end: they commit what they have read. Raises DependencyDownError."""
    connect.stop(name)
    (state,) = settle(lambda: [connect.state(name) or NONE_YET], settings.connect.timeout_s, lambda one: not one.tasks)
    if state.tasks:
        raise DependencyDownError(NAME, f"{name} does not end its tasks; is the database away?")


def settle(
    ask: Callable[[], Sequence[State]], timeout_s: float, settled: Callable[[State], bool] = lambda one: one.running
) -> Sequence[State]:
    """Ask until all have settled or the time is over; the last answer."""
    return until(ask, timeout_s, lambda states: all(map(settled, states)))


def until(ask: Callable[[], T], timeout_s: float, so: Callable[[T], bool]) -> T:
    """Ask until an answer is so or the time is over; the last answer."""
    again = Retrying(
        retry=retry_if_result(lambda answer: not so(answer)),
        stop=stop_after_delay(timeout_s),
        wait=wait_fixed(WAIT_S),
        retry_error_callback=lambda tries: tries.outcome.result() if tries.outcome else None,
    )
    answer: T = again(ask)
    return answer
