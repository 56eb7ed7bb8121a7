"""A model hub on this machine, in the layouts of Hugging Face and ModelScope, with Range; and one that misbehaves."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

CDN = "/cdn/"
"""Where big files are redirected to, as Hugging Face does."""
BLOCK = 1 << 20


class Address(NamedTuple):
    """What a request names."""

    repo: str
    revision: str
    file: str


class Asked(NamedTuple):
    """A request for a file, as it came."""

    file: str
    start: int


@dataclass
class Answer:
    """One request, as a fault sees it."""

    handler: BaseHTTPRequestHandler
    body: Path
    start: int

    def head(self, status: int, length: int | None, **headers: str) -> None:
        """Send status and headers; without a length the body is chunked or ends with the connection."""
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.handler.send_header("Content-Length", str(length))
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        """Send some of the body."""
        self.handler.wfile.write(data)

    def drop(self) -> None:
        """End the connection here."""
        self.handler.close_connection = True

    def whole(self, stop: int | None = None) -> None:
        """Answer as it should be, up to the byte ``stop``."""
        size = self.body.stat().st_size
        ranged = {"Content_Range": f"bytes {self.start}-{size - 1}/{size}"} if self.start else {}
        self.head(206 if self.start else 200, size - self.start, **ranged)
        with self.body.open("rb") as file:
            file.seek(self.start)
            left = (size if stop is None else stop) - self.start
            while left > 0 and (block := file.read(min(BLOCK, left))):
                self.send(block)
                left -= len(block)
        if stop is not None:
            self.drop()


Fault = Callable[[Answer], object]


@dataclass
class LocalHub:
    """Serves files of repositories; a fault answers the next request for its file in its place."""

    files: Mapping[Address, Path]
    redirected: frozenset[str] = frozenset()
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        address = read_address(handler.path)
        body = self.files.get(address) if address else None
        if address is None or body is None:
            handler.send_error(404)
            return
        if address.file in self.redirected and not handler.path.startswith(CDN):
            handler.send_response(302)
            handler.send_header("Location", f"{CDN}{address.repo}/resolve/{address.revision}/{address.file}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.asked.append(Asked(address.file, start))
        waiting = self.faults.get(address.file)
        act = waiting.pop(0) if waiting else Answer.whole
        act(Answer(handler, body, start))


def read_address(path: str) -> Address | None:
    """What a path of either hub names."""
    parts = urlsplit(path)
    if parts.path.startswith("/api/v1/models/") and parts.path.endswith("/repo"):
        query = parse_qs(parts.query)
        repo = parts.path.removeprefix("/api/v1/models/").removesuffix("/repo")
        return Address(repo, query["Revision"][0], query["FilePath"][0])
    repo, found, rest = parts.path.removeprefix(CDN).removeprefix("/").partition("/resolve/")
    revision, _, file = rest.partition("/")
    return Address(unquote(repo), unquote(revision), unquote(file)) if found else None


@contextmanager
def serving(hub: LocalHub) -> Iterator[LocalHub]:
    """Serve it on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # http.server's own name
            hub.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that leaves early is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
