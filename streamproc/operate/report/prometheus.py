"""Prometheus' HTTP API: series over time, and what its refusals mean."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx2

from streamproc.errors import DependencyDownError, UsageError
from streamproc.settings import PrometheusSettings, without_credentials

NAME = "prometheus"
MOST_BYTES = 128 * 1024**2
"""Of one answer. A worker's figures are 0.2 MB of it."""
_MOST_SHOWN = 256
"""Characters of what somebody else says."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series, at equal distances; None where there is no value."""

    labels: Mapping[str, str]
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Edges:
    """Moments at equal distances, in ms since the epoch."""

    first_ms: int
    step_ms: int
    count: int


class Prometheus:
    """One server, or what speaks like one (Thanos, Mimir, VictoriaMetrics). Used by one thread."""

    def __init__(self, client: httpx2.Client, settings: PrometheusSettings, url: str) -> None:
        self._client = client
        self._settings = settings
        self._url = url.rstrip("/")
        self.address = without_credentials(self._url)
        self.warnings: dict[str, None] = {}
        """What it said beside its answers, each once: that some of them are not whole, as Thanos does."""

    def look(self, query: str, edges: Edges) -> list[Series]:
        """What a query gives at each edge. Raises UsageError for what is refused, DependencyDownError."""
        last_ms = edges.first_ms + edges.step_ms * (edges.count - 1)
        times = {"start": edges.first_ms / 1000, "end": last_ms / 1000, "step": edges.step_ms / 1000}
        status, body = self._ask({"query": query, **{name: f"{seconds:.3f}" for name, seconds in times.items()}})
        answer = _object(body)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise UsageError(f"{self.address} (prometheus.url) answers {status}: {self._who()}")
        if answer.get("status") == "error" and status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
            said = str(answer.get("error", ""))[:_MOST_SHOWN]
            raise UsageError(f"{self.address} (prometheus.url) refuses: {said}. Ask for a shorter period, or one --job")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise self._away(f"it answers {status}: {body[:_MOST_SHOWN].decode(errors='replace')}")
        warnings = answer.get("warnings")
        if isinstance(warnings, list):
            self.warnings |= {str(one)[:_MOST_SHOWN]: None for one in warnings}
        try:
            return [_series(one, edges) for one in answer["data"]["result"]]
        except (ValueError, TypeError, KeyError, LookupError) as error:
            raise UsageError(
                f"what answers {status} at {self.address} (prometheus.url) is not Prometheus: give the address that is "
                "before /api/v1, as in http://prometheus:9090"
            ) from error

    def _ask(self, words: Mapping[str, str]) -> tuple[int, bytes]:
        body = bytearray()
        try:
            with self._client.stream("POST", f"{self._url}/api/v1/query_range", data=dict(words)) as answer:
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise UsageError(
                            f"{self.address} (prometheus.url) gives more than {MOST_BYTES} bytes: ask for one --job"
                        )
                return answer.status_code, bytes(body)
        except httpx2.HTTPError as error:
            raise self._away(f"{type(error).__name__}: {error}") from error

    def _who(self) -> str:
        if self._settings.username is None:
            return "set prometheus.username and prometheus.password"
        return "it does not take prometheus.username and prometheus.password for this"

    def _away(self, detail: str) -> DependencyDownError:
        return DependencyDownError(NAME, f"{self.address} (prometheus.url): {detail}")


@contextmanager
def open_prometheus(settings: PrometheusSettings, url: str) -> Iterator[Prometheus]:
    """A client of the server at ``url``. Raises UsageError for what is no address."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise UsageError("prometheus.url (--prometheus) is not http(s)://host[:port]")
    given = (settings.username, settings.password.get_secret_value() if settings.password else "")
    auth = None if given[0] is None else httpx2.BasicAuth(given[0], given[1])
    with httpx2.Client(timeout=settings.timeout_s, auth=auth) as client:
        yield Prometheus(client, settings, url)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _series(one: Mapping[str, Any], edges: Edges) -> Series:
    values: list[float | None] = [None] * edges.count
    for at_s, text in one["values"]:
        values[round((float(at_s) * 1000 - edges.first_ms) / edges.step_ms)] = float(text)
    return Series({str(name): str(value) for name, value in one["metric"].items()}, values)
