"""Where a worker that runs answers over HTTP, and asking it there."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx2

from streamproc.errors import DependencyDownError, UsageError
from streamproc.settings import HttpSettings

ANSWER_S = 5.0
"""For each step of a request."""
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_PORTS = range(1, 2**16)
_HINT = "its first log line names its address; say it with --worker HOST:PORT"
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # compared with, not bound to
"""Where a worker that listens on every interface is reached on its own host."""


def local_worker(http: HttpSettings) -> str:
    """HOST:PORT of the worker with these settings on this host. Raises UsageError where it takes any port."""
    if not http.port:
        raise UsageError(f"http.port is 0, so that a worker takes a free port: {_HINT}")
    return f"{EVERYWHERE.get(http.host, http.host)}:{http.port}"


def checked(worker: str) -> str:
    """What was given as HOST:PORT. Raises UsageError for what is none."""
    found = _ADDRESS.fullmatch(worker)
    if found is None or int(found[1]) not in _PORTS:
        raise UsageError(
            f"--worker {worker[:300]!r}: write HOST:PORT, as in 10.0.0.7:9464 or [::1]:9464, without http://"
        )
    return worker


def ask(method: str, worker: str, path: str) -> Mapping[str, Any]:
    """What a worker at HOST:PORT answers in JSON. Raises DependencyDownError."""
    try:
        # Not through a proxy: a worker is addressed as it is.
        with httpx2.Client(timeout=ANSWER_S, trust_env=False) as client:
            said = client.request(method, f"http://{worker}{path}").raise_for_status().json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise DependencyDownError(f"worker {worker}", f"{told(error)} ({_HINT})") from error
    if not isinstance(said, dict):
        raise DependencyDownError(f"worker {worker}", "another program answers there")
    return said


def told(error: Exception) -> str:
    """Why a worker gave no answer, in one line: the library's own has advice for web developers."""
    if not isinstance(error, httpx2.HTTPStatusError):
        return str(error) or type(error).__name__
    if error.response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:  # a doorstep's, for a moment
        return "HTTP 503: it has just begun, or another program listens there; ask again"
    return f"HTTP {error.response.status_code}, so another program may listen there"
