"""Kafka Connect's REST API: what is asked of it, and what its answers mean."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx2
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from streamproc.errors import DependencyDownError, DependencyRefusesError, StreamprocError, UsageError
from streamproc.operate.place import Place
from streamproc.records.record import TopicPartition
from streamproc.settings import ConnectSettings, without_credentials

WAIT_S = 0.5
"""Between questions while a group of workers settles."""
NAME = "kafka connect"
CAUSE = "Caused by: "
"""Before each cause behind the first line of a trace."""


class _SettlingError(StreamprocError):
    """Raised while workers are sharing out what there is to do; the same question is asked again."""


@dataclass(frozen=True, slots=True)
class State:
    """What one connector does."""

    connector: str
    """RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED."""
    tasks: tuple[str, ...]
    """The same for each task."""
    problem: str | None
    """What made it, or a task, fail: what Connect says, and the cause behind it."""

    @property
    def running(self) -> bool:
        """Whether it does all it is to do."""
        return self.connector == "RUNNING" and bool(self.tasks) and set(self.tasks) == {"RUNNING"}

    @property
    def failed(self) -> bool:
        """Whether some of it ended, which Connect does not mend by itself."""
        return "FAILED" in (self.connector, *self.tasks)

    @property
    def halted(self) -> bool:
        """Whether somebody told it to stop, or to pause."""
        return self.connector in {"STOPPED", "PAUSED"}


def _state(answer: Mapping[str, Any]) -> State:
    parts = [answer["connector"], *answer["tasks"]]
    problem = next((_problem(part["trace"]) for part in parts if part.get("trace")), None)
    return State(answer["connector"]["state"], tuple(task["state"] for task in answer["tasks"]), problem)


def _problem(trace: str) -> str:
    """What a trace of Java says first, which is often Connect's own sentence for everything, and its last cause."""
    said, *rest = trace.strip().splitlines()
    causes = [line.removeprefix(CAUSE) for line in rest if line.startswith(CAUSE)]
    last = [cause for cause in causes[-1:] if (cause.partition(": ")[2] or cause) not in said]
    return ": ".join([said.removesuffix("."), *last])


def _names(answer: Any) -> Sequence[str]:
    return sorted(map(str, list(answer)))


def _places(answer: Mapping[str, Any]) -> Sequence[Place]:
    return sorted(
        Place(
            TopicPartition(one["partition"]["kafka_topic"], int(one["partition"]["kafka_partition"])),
            int(one["offset"]["kafka_offset"]),
        )
        for one in answer["offsets"]
    )


class Connect:
    """One cluster of Connect workers. Used by one thread."""

    def __init__(self, client: httpx2.Client, settings: ConnectSettings) -> None:
        self._client = client
        self._settings = settings

    def config(self, name: str) -> Mapping[str, str] | None:
        """The configuration of a connector, None where it has none. Raises DependencyDownError."""
        config: dict[str, str] | None
        config = self._ask("GET", f"/connectors/{name}/config", missing=HTTPStatus.NOT_FOUND)
        return config

    def put(self, name: str, config: Mapping[str, str]) -> None:
        """Make or change a connector. Raises UsageError for what Connect refuses, DependencyDownError."""
        self._ask("PUT", f"/connectors/{name}/config", json={"name": name, **config})

    def make_stopped(self, name: str, config: Mapping[str, str]) -> None:
        """Make a connector that has no task yet. Raises UsageError for what Connect refuses, DependencyDownError."""
        made = {"name": name, "config": {"name": name, **config}, "initial_state": "STOPPED"}
        self._ask("POST", "/connectors", json=made)

    def names(self) -> Sequence[str]:
        """Every connector, whoever made it. Raises DependencyDownError."""
        names: Sequence[str] = self._ask("GET", "/connectors", read=_names)
        return names

    def restart_failed(self, name: str) -> None:
        """Start again what failed of a connector. Raises DependencyDownError."""
        self._ask("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")

    def state(self, name: str) -> State | None:
        """What a connector does; None where nothing is known of it (yet). Raises DependencyDownError."""
        state: State | None
        state = self._ask("GET", f"/connectors/{name}/status", read=_state, missing=HTTPStatus.NOT_FOUND)
        return state

    def cluster(self) -> str:
        """The Kafka cluster that these workers belong to. Raises DependencyDownError, for another server too."""
        return str(self._ask("GET", "/", read=lambda answer: answer["kafka_cluster_id"]))

    def places(self, name: str) -> Sequence[Place]:
        """The record that a connector reads next of each partition, as far as rows were committed.

        Raises DependencyDownError.
        """
        return self._ask("GET", f"/connectors/{name}/offsets", read=_places) or ()

    def move(self, name: str, *to: Place) -> None:
        """Let a connector that is stopped go on at these records. Raises UsageError, DependencyDownError."""
        moved = [
            {
                "partition": {"kafka_topic": one.partition.topic, "kafka_partition": one.partition.partition},
                "offset": {"kafka_offset": one.offset},
            }
            for one in to
        ]
        self._ask("PATCH", f"/connectors/{name}/offsets", json={"offsets": moved})

    def stop(self, name: str) -> None:
        """Let a connector end all its tasks and keep its offsets. Raises DependencyDownError."""
        self._ask("PUT", f"/connectors/{name}/stop")

    def forget_offsets(self, name: str) -> None:
        """Let a connector that is stopped begin at the first record again. Raises UsageError, DependencyDownError."""
        self._ask("DELETE", f"/connectors/{name}/offsets")

    def resume(self, name: str) -> None:
        """Let a connector go on. Raises DependencyDownError."""
        self._ask("PUT", f"/connectors/{name}/resume")

    def remove(self, name: str) -> None:
        """Take a connector away; where none is, nothing happens. Raises DependencyDownError."""
        self._ask("DELETE", f"/connectors/{name}", missing=HTTPStatus.NOT_FOUND)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        read: Callable[[Any], Any] = dict,
        missing: HTTPStatus | None = None,
    ) -> Any:
        again = Retrying(
            retry=retry_if_exception_type(_SettlingError),
            stop=stop_after_delay(self._settings.timeout_s),
            wait=wait_fixed(WAIT_S),
            reraise=True,
        )
        try:
            answer = again(self._once, method, path, json)
        except _SettlingError as error:
            raise self._refused(str(error)) from error
        if answer.status_code == missing and _connects(answer):
            return None
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            raise UsageError(f"Kafka Connect refuses {method} {path}: {_said(answer)}")
        if not answer.is_success:
            raise self._refused(f"{answer.status_code} to {method} {path}: {_said(answer)}")
        try:
            return read(answer.json()) if answer.content else None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._refused(f"the answer to {method} {path} is not Kafka Connect's: {answer.text:.128}") from error

    def _once(self, method: str, path: str, json: object) -> httpx2.Response:
        try:
            answer = self._client.request(method, path, json=json)
        except httpx2.HTTPError as error:
            raise DependencyDownError(NAME, self._where(f"{type(error).__name__}: {error}")) from error
        if answer.status_code == HTTPStatus.CONFLICT or answer.is_server_error:  # "a rebalance is expected" is a 500
            raise _SettlingError(f"{answer.status_code} to {method} {path}: {_said(answer)}")
        return answer

    def _refused(self, detail: str) -> DependencyRefusesError:
        return DependencyRefusesError(NAME, self._where(detail))

    def _where(self, detail: str) -> str:
        return f"{without_credentials(self._settings.url)} (connect.url): {detail:.512}"


@contextmanager
def open_connect(settings: ConnectSettings) -> Iterator[Connect]:
    """A client of the workers at ``connect.url``. Raises UsageError for what is no address."""
    try:
        url = httpx2.URL(settings.url)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise UsageError("connect.url is not http(s)://host[:port]")
    with httpx2.Client(base_url=url, timeout=settings.timeout_s) as client:
        yield Connect(client, settings)


def _connects(answer: httpx2.Response) -> bool:
    """Whether an error is said in Kafka Connect's form; any other server has a 404 of its own."""
    try:
        return "message" in dict(answer.json())
    except (ValueError, TypeError):
        return False


def _said(answer: httpx2.Response) -> str:
    try:
        message: Callable[[str, object], object] = dict(answer.json()).get
        return str(message("message", answer.text))
    except (ValueError, TypeError):
        return f"{' '.join(answer.text.split()):.128}"
