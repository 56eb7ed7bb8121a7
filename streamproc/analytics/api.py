"""The query API over HTTP, as a WSGI application: read-only, JSON, one page."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from typing import Self
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streamproc.analytics.desk import Desk
from streamproc.analytics.observation import EVERYTHING, Key
from streamproc.analytics.openapi import DEFAULT_MOST, MOST, PARAMETERS, description
from streamproc.analytics.query import Query
from streamproc.analytics.trend import rule
from streamproc.analytics.windows import KINDS
from streamproc.errors import UsageError
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock

_JSON = "application/json; charset=utf-8"
_STATE = "/api/state"
_PROBES = ("/healthz", "/readyz")
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

    given: Mapping[str, str]
    attributes: Sequence[str]
    """Those that windows are kept for."""

    @classmethod
    def parse(cls, query: str, known: Collection[str], attributes: Sequence[str]) -> Self:
        """Raise UsageError for a parameter that is not known, or there twice."""
        given: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in known:
                raise UsageError(f"there is no parameter {name:.40}, but {', '.join(known)}")
            if name in given:
                raise UsageError(f"{name} is there twice")
            given[name] = value
        return cls(given, attributes)

    def any_attribute(self) -> str | None:
        """An attribute that windows are kept for; None where none is given. Raises UsageError."""
        name = self.given.get("attribute")
        if name is not None and name not in self.attributes:
            raise UsageError(f"attribute is one of {', '.join(self.attributes)} (analytics.attributes)")
        return name

    def attribute(self) -> str:
        """The same; that of all results together where none is given. Raises UsageError."""
        return self.any_attribute() or EVERYTHING[0]

    def value(self) -> str | None:
        """One value of the attribute; None for each."""
        return self.given.get("value")

    def key(self) -> Key:
        """An attribute with one value of it; all results together where neither is given. Raises UsageError."""
        name, value = self.attribute(), self.value()
        if value is None and name != EVERYTHING[0]:
            raise UsageError(f"value is missing: add &value= one value of {name}")
        if value and name == EVERYTHING[0]:
            others = ", ".join(self.attributes)
            raise UsageError(f"all results together have no values: add &attribute= one of {others}")
        return name, value or EVERYTHING[1]

    def kind(self) -> str:
        """A kind of windows. Raises UsageError."""
        kind = self.given.get("kind", KINDS[0])
        if kind not in KINDS:
            raise UsageError(f"kind is one of {', '.join(KINDS)}")
        return kind

    def most(self) -> int:
        """How many rows at most. Raises UsageError."""
        text = self.given.get("most", str(DEFAULT_MOST))
        if not (len(text) <= _DIGITS and text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
            raise UsageError(f"most is a whole number from 1 to {MOST}")
        return int(text)


class Api:
    """Answers from what the desk has. ``ready`` says whether that is everything; ``figures`` are for `/metrics`."""

    def __init__(
        self, settings: Settings, desk: Desk, ready: Callable[[], bool], figures: CollectorRegistry, clock: Clock
    ) -> None:
        self._desk = desk
        self._figures = figures
        self._ready = ready
        self._query = Query(desk.view, desk.alarms, rule(settings.analytics), settings.analytics.attributes, clock)
        self._kept: dict[tuple[str, str], bytes] = {}
        self._turn = 0
        query = self._query
        self._plain: Mapping[str, Callable[[], object]] = {
            _STATE: lambda: {**query.state(), "ready": ready()},
            "/openapi.json": description,
        }
        self._answers: Mapping[str, Callable[[Asked], object]] = {
            "/api/windows": lambda asked: query.windows(asked.kind(), asked.attribute(), asked.most(), asked.value()),
            "/api/series": lambda asked: query.series(asked.kind(), asked.key(), asked.most()),
            "/api/movers": lambda asked: query.movers(asked.kind(), asked.attribute(), asked.most(), asked.value()),
            "/api/alerts": lambda asked: query.alerts(asked.most(), asked.any_attribute(), asked.value()),
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
        if path in _PROBES:
            ok = self._desk.well if path == "/healthz" else self._ready()
            return (HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE), _JSON, _json({"ok": ok})
        try:
            with self._desk.lock:
                if path in self._plain:
                    return HTTPStatus.OK, _JSON, _json(self._plain[path]())
                if path in self._answers:
                    return HTTPStatus.OK, _JSON, self._find(path, query)
        except UsageError as error:
            return HTTPStatus.BAD_REQUEST, _JSON, _json({"error": str(error)})
        there = ("/", *self._plain, *self._answers, *_PROBES, "/metrics")
        return HTTPStatus.NOT_FOUND, _JSON, _json({"error": f"there is {', '.join(there)}"})

    def _find(self, path: str, query: str) -> bytes:
        """An answer, or what it was since the desk's last turn: whatever is asked, and by however many."""
        if self._turn != self._desk.turns or len(self._kept) >= _KEPT:
            self._turn = self._desk.turns
            self._kept.clear()
        if (path, query) not in self._kept:
            asked = Asked.parse(query, PARAMETERS[path], self._query.attributes)
            self._kept[path, query] = _json(self._answers[path](asked))
        return self._kept[path, query]


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
