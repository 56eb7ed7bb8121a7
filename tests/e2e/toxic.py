"""A way to the object store on which some objects only drip."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

DRIP_S = 0.5
"""Between two bytes: far below any silence that a reader takes for the end."""


class Toxic(ThreadingHTTPServer):
    """Passes on what it is asked, as it is: signatures are of our address and stay right."""

    daemon_threads = True

    def __init__(self, store: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = urlsplit(store).netloc
        self.dripping: set[str] = set()
        """Ends of the paths that drip; may be changed at any time."""
        self.dripped: list[str] = []
        """Paths that did."""
        self.ending = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def drips(self, path: str) -> bool:
        return any(path.partition("?")[0].endswith(end) for end in self.dripping)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Toxic
    SKIPPED: ClassVar[set[str]] = {"transfer-encoding", "connection", "content-length"}

    def do_GET(self) -> None:
        self._pass_on()

    def do_HEAD(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the standard library's
        """Say nothing."""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = http.client.HTTPConnection(self.server.store, timeout=30)
        try:
            there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                there.putheader(name, value)
            there.endheaders(body or None)
            answer = there.getresponse()
            content = answer.read()
        finally:
            there.close()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in self.SKIPPED:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command == "GET" and self.server.drips(self.path):
            self._drip(content)
        else:
            self.wfile.write(content)

    def _drip(self, content: bytes) -> None:
        self.server.dripped.append(self.path)
        for place in range(len(content)):
            if self.server.ending.wait(DRIP_S) or not self.server.drips(self.path):
                self.close_connection = True
                return
            self.wfile.write(content[place : place + 1])
            self.wfile.flush()


@contextmanager
def toxic(store: str) -> Iterator[Toxic]:
    server = Toxic(store)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()
