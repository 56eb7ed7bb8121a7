"""The brake of workers that run, asked for and released over their own endpoints."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from streamproc.errors import DependencyDownError, UsageError
from streamproc.settings import HttpSettings
from streamproc.telemetry.http import RELEASE

ANSWER_S = 5.0
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # compared with, not bound to
"""Where a worker that listens on every interface is reached on its own host."""


@dataclass(frozen=True, slots=True)
class WorkerBrake:
    """What a worker says of its brake."""

    worker: str
    """HOST:PORT."""
    state: str
    on: bool
    since: str | None
    """UTC, in ISO 8601; None while it is off."""
    why: str | None
    dead_letters: int
    of_the_last: int
    times: int
    """How often it went on since the worker started."""

    @property
    def line(self) -> str:
        """For people."""
        numbers = f"{self.dead_letters} of the last {self.of_the_last} records"
        often = "once" if self.times == 1 else f"{self.times} times"
        if self.on:
            return f"{self.worker}  on since {self.since}: {self.why} ({numbers}); on {often} since the worker started"
        times = f"; it was on {often}" if self.times else ""
        return f"{self.worker}  off: {numbers} are dead letters{times}"


def local_worker(http: HttpSettings) -> str:
    """HOST:PORT of the worker with these settings on this host."""
    return f"{EVERYWHERE.get(http.host, http.host)}:{http.port}"


def look(worker: str) -> WorkerBrake:
    """Ask one worker. Raises DependencyDownError."""
    said = _ask("GET", worker, "/status")
    brake = said.get("brake") or {}
    return WorkerBrake(
        worker=worker,
        state=str(said["state"]),
        on=bool(brake.get("on")),
        since=brake.get("since"),
        why=brake.get("why"),
        dead_letters=brake.get("dead_letters", 0),
        of_the_last=brake.get("of_the_last", 0),
        times=brake.get("times", 0),
    )


def release(worker: str) -> bool:
    """Release one worker's brake; whether it was on. Raises DependencyDownError."""
    return bool(_ask("POST", worker, RELEASE)["released"])


def _address(worker: str) -> str:
    """Raises UsageError for what is no HOST:PORT."""
    if not _ADDRESS.fullmatch(worker):
        raise UsageError(
            f"--worker {worker[:300]!r}: write HOST:PORT, as in 10.0.0.7:9464 or [::1]:9464, without http://"
        )
    return worker


def _ask(method: str, worker: str, path: str) -> Mapping[str, Any]:
    try:
        # Not through a proxy: a worker is addressed as it is.
        with httpx2.Client(timeout=ANSWER_S, trust_env=False) as client:
            answer = client.request(method, f"http://{_address(worker)}{path}").raise_for_status()
        said: Mapping[str, Any] = answer.json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise DependencyDownError(f"worker {worker}", _told(error)) from error
    return said


def _told(error: Exception) -> str:
    hint = "its first log line names its address; say it with --worker HOST:PORT"
    said = str(error) or type(error).__name__
    if isinstance(error, httpx2.HTTPStatusError):
        said = f"HTTP {error.response.status_code}, so another program may listen there"
    return f"{said} ({hint})"
