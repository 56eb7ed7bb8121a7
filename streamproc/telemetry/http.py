"""The worker's own endpoints: /metrics, probes, /status; and POST /brake/release. No request log."""

import errno
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import gaierror, socket
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streamproc.errors import UsageError
from streamproc.settings import HttpSettings
from streamproc.telemetry.listening import listen_on
from streamproc.telemetry.log import get_log

_JSON = "application/json; charset=utf-8"
_CLOSE_S = 0.1
"""How long ``close`` may take to be noticed."""
RELEASE = "/brake/release"
"""The one path that changes anything. It takes a POST, and none that a web page sends: those have an Origin."""
_READING = "GET, HEAD"
_log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """An answer to "are you well?"; ``detail`` says why not, in values that JSON knows."""

    ok: bool
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: HTTPStatus
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What the paths answer, as a WSGI application. ``release``, of who has a brake, says whether it was on.

    The callables run on the server's threads: they must be thread-safe and must not block.
    """

    registry: CollectorRegistry
    health: Callable[[], Check]
    ready: Callable[[], Check]
    status: Callable[[], Mapping[str, object]]
    release: Callable[[], bool] | None = None
    started: Callable[[], Check] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, by WSGI."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        release = self.release if path == RELEASE else None
        allowed = "POST" if release else _READING
        if method not in allowed.split(", "):
            answer = _json(HTTPStatus.METHOD_NOT_ALLOWED, {"error": f"only {allowed}"})
        elif release:
            answer = _released(release, web_page="HTTP_ORIGIN" in environ)
        else:
            answer = self._answer(path, environ.get("HTTP_ACCEPT", ""))
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
        ]
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", allowed))
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [] if method == "HEAD" else [answer.body]

    def _answer(self, path: str, accept: str) -> Answer:
        try:
            match path:
                case "/metrics":
                    encode, content_type = choose_encoder(accept)
                    return Answer(HTTPStatus.OK, content_type, encode(self.registry))
                case "/healthz" | "/readyz" | "/startupz":
                    probe = {"/healthz": self.health, "/readyz": self.ready}.get(path, self.started or self.ready)
                    return _check(probe())
                case "/status":
                    return _json(HTTPStatus.OK, self.status())
                case _:
                    more = f", and POST {RELEASE}" if self.release else ""
                    there = f"there is /metrics, /healthz, /readyz, /startupz and /status{more}"
                    return _json(HTTPStatus.NOT_FOUND, {"error": there})
        except Exception as error:  # noqa: BLE001  # the log gets the traceback, whoever probes gets an answer
            _log.exception("an endpoint failed")
            return _json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": type(error).__name__})


def _released(release: Callable[[], bool], *, web_page: bool) -> Answer:
    if web_page:
        return _json(HTTPStatus.FORBIDDEN, {"error": "not for web pages"})
    return _json(HTTPStatus.OK, {"released": release()})


def _check(check: Check) -> Answer:
    status = HTTPStatus.OK if check.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return _json(status, {"ok": check.ok, **check.detail})


def _json(status: HTTPStatus, value: Mapping[str, object]) -> Answer:
    return Answer(status, _JSON, json.dumps(value, ensure_ascii=False).encode() + b"\n")


class _Quiet(WSGIRequestHandler):
    """No request log: probes and scrapes would drown the canonical lines."""

    timeout = 5
    """Seconds for a client to send its request: a slow one must not keep its thread."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the standard library's
        """Say nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection; a stuck client holds no other up, nor the end of the process."""

    daemon_threads = True

    def __init__(self, listening: socket, application: WSGIApplication) -> None:
        host, port = listening.getsockname()
        super().__init__((host, port), _Quiet, bind_and_activate=False)
        self.socket.close()  # one that was made for nothing
        self.socket = listening
        # The standard library asks DNS for the host's name, which nobody needs and which may take seconds.
        self.server_name, self.server_port = host, port
        self.setup_environ()
        self.set_app(application)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Note a client that hung up or was too slow; the default prints a traceback between our lines."""
        _log.debug("a client went away", exc_info=True)


class HttpServer:
    """Serves endpoints on a thread of its own from ``start`` to ``close``. Port 0 takes a free one."""

    def __init__(self, settings: HttpSettings, endpoints: WSGIApplication, listening: socket | None = None) -> None:
        """Bind at once, so that a port in use is found before any work is taken. Raises OSError.

        ``listening`` is a socket that has the address already, and is closed with this.
        """
        self._server = _Server(listening or listen_on(settings.host, settings.port), endpoints)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_CLOSE_S,), name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.server_port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port; safe before ``start``."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def remedy(error: OSError, section: str) -> str:
    """What to do about an address that cannot be listened on."""
    if isinstance(error, gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"Set STREAMPROC_{section}__HOST to an IPv4 address of this computer, or to a name of one"
    return f"Set STREAMPROC_{section}__PORT to a free port, or to 0 for any"


@contextmanager
def listen(
    settings: HttpSettings, endpoints: WSGIApplication, section: str, listening: socket | None = None
) -> Iterator[HttpServer]:
    """Answer over HTTP; ``section`` of the settings has the port. Raises UsageError where it cannot be had.

    ``listening`` is a socket that has the address already, and is closed at the end.
    """
    try:
        server = HttpServer(settings, endpoints, listening)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise UsageError(f"this process cannot listen on {where}: {error.strerror}. {remedy(error, section)}") from None
    server.start()
    try:
        yield server
    finally:
        server.close()
