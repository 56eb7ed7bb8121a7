"""The query API over HTTP, as a WSGI application: read-only, JSON, one page."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streamproc.analytics.desk import Desk
from streamproc.analytics.openapi import DEFAULT_MOST, MOST, description
from streamproc.analytics.query import Query
from streamproc.analytics.trend import rule
from streamproc.analytics.windows import KINDS
from streamproc.errors import UsageError
from streamproc.settings import Settings

_JSON = "application/json; charset=utf-8"
_STATE = "/api/state"
_DIGITS = len(str(MOST))
_KEPT = 64
"""Answers, from one turn of the desk to the next: many who look at the page ask the same."""
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'"
"""The page loads nothing from elsewhere, and runs nothing that stands in a value."""
_SCRIPTS = ("page.js", "page.chart.js", "page.parts.js", "page.tables.js")
_FILES: Mapping[str, tuple[str, str]] = {
    "/": ("page.html", "text/html; charset=utf-8"),
    **{f"/{name}": (name, "text/javascript; charset=utf-8") for name in _SCRIPTS},
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a request."""

    given: Mapping[str, list[str]]

    def text(self, name: str, default: str | None = None) -> str:
        """One that may be anything. Raises UsageError when it is missing and there is no default."""
        values = self.given.get(name)
        if values:
            return values[-1]
        if default is None:
            raise UsageError(f"{name} is missing: add ?{name}=...")
        return default

    def kind(self) -> str:
        """A kind of windows. Raises UsageError."""
        kind = self.text("kind", "tumbling")
        if kind not in KINDS:
            raise UsageError(f"kind is one of {', '.join(KINDS)}")
        return kind

    def most(self) -> int:
        """How many rows at most. Raises UsageError."""
        text = self.text("most", str(DEFAULT_MOST))
        if not (len(text) <= _DIGITS and text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
            raise UsageError(f"most is a whole number from 1 to {MOST}")
        return int(text)


class Api:
    """Answers from what the desk has. ``ready`` says whether that is everything; ``figures`` are for `/metrics`."""

    def __init__(self, settings: Settings, desk: Desk, ready: Callable[[], bool], figures: CollectorRegistry) -> None:
        self._desk = desk
        self._figures = figures
        self._ready = ready
        self._query = Query(desk.view, desk.alarms, rule(settings.analytics))
        self._kept: dict[tuple[str, str], bytes] = {}
        self._turn = 0
        self._answers: Mapping[str, Callable[[Asked], object]] = {
            _STATE: lambda _: {**self._query.state(), "ready": ready()},
            "/api/windows": lambda asked: self._query.windows(
                asked.kind(), asked.text("attribute", "all"), asked.most()
            ),
            "/api/series": lambda asked: self._query.series(
                asked.kind(), (asked.text("attribute", "all"), asked.text("value", "")), asked.most()
            ),
            "/api/movers": lambda asked: self._query.movers(asked.kind(), asked.text("attribute"), asked.most()),
            "/api/alerts": lambda asked: self._query.alerts(asked.most()),
            "/openapi.json": lambda _: description(),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, by WSGI."""
        method = environ["REQUEST_METHOD"]
        status, kind, body = HTTPStatus.METHOD_NOT_ALLOWED, _JSON, _json({"error": "only GET and HEAD"})
        if method in ("GET", "HEAD") and environ["PATH_INFO"] == "/metrics":
            encode, kind = choose_encoder(environ.get("HTTP_ACCEPT", ""))
            status, body = HTTPStatus.OK, encode(self._figures)
        elif method in ("GET", "HEAD"):
            status, kind, body = self._answer(environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
        headers = [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", _POLICY),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if method == "HEAD" else [body]

    def _answer(self, path: str, query: str) -> tuple[HTTPStatus, str, bytes]:
        if path in _FILES:
            name, kind = _FILES[path]
            return HTTPStatus.OK, kind, resources.files("streamproc.analytics").joinpath(name).read_bytes()
        if path in ("/healthz", "/readyz"):
            ok = self._desk.failure is None if path == "/healthz" else self._ready()
            return (HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE), _JSON, _json({"ok": ok})
        if (answer := self._answers.get(path)) is None:
            return HTTPStatus.NOT_FOUND, _JSON, _json({"error": f"there is {', '.join(self._answers)} and /"})
        try:
            with self._desk.lock:
                body = self._find(path, query, answer)
        except UsageError as error:
            return HTTPStatus.BAD_REQUEST, _JSON, _json({"error": str(error)})
        return HTTPStatus.OK, _JSON, body

    def _find(self, path: str, query: str, answer: Callable[[Asked], object]) -> bytes:
        """An answer, or what it was since the desk's last turn: whatever is asked, and by however many."""
        if path == _STATE:
            return _json(answer(Asked({})))
        if self._turn != self._desk.turns or len(self._kept) >= _KEPT:
            self._turn = self._desk.turns
            self._kept.clear()
        if (path, query) not in self._kept:
            self._kept[path, query] = _json(answer(Asked(parse_qs(query))))
        return self._kept[path, query]


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
