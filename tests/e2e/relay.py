"""A server that hands requests on to another one, but for some that it does not answer well."""

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Relay:
    """GET and POST. What has ``without`` in its path is a 503."""

    def __init__(self, url: str, without: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._hand_on(None)

            def do_POST(self) -> None:
                self._hand_on(self.rfile.read(int(self.headers["Content-Length"])))

            def _hand_on(self, asked: bytes | None) -> None:
                status, kind, body = 503, "application/json", b"{}"
                if without not in self.path:
                    headers = {"Content-Type": self.headers.get("Content-Type", kind)}
                    request = urllib.request.Request(url.rstrip("/") + self.path, asked, headers)  # noqa: S310  # the tests' own
                    try:
                        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # likewise
                            status, kind, body = answer.status, answer.headers["Content-Type"], answer.read()
                    except urllib.error.HTTPError as error:
                        status, body = error.code, error.read()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
