"""A server that answers as Kafka Connect might."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from streamproc.settings import ConnectSettings

TRACE = "org.apache.kafka.connect.errors.ConnectException: no\n\tat somewhere\n"
FAILED = {
    "name": "one",
    "connector": {"state": "RUNNING", "worker_id": "w"},
    "tasks": [{"id": 0, "state": "FAILED", "worker_id": "w", "trace": TRACE}],
}


@contextmanager
def answering(*answers: tuple[int, object]) -> Iterator[ConnectSettings]:
    """A server that gives these answers one after the other, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = answer  # noqa: N815  # http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ConnectSettings(url=f"http://127.0.0.1:{server.server_port}", timeout_s=3)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
