"""A server that answers as Kafka Connect might."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from streamproc.settings import ConnectSettings

TRACE = """\
org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask due to unrecoverable exception.
\tat org.apache.kafka.connect.runtime.WorkerSinkTask.deliverMessages(WorkerSinkTask.java:658)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: org.apache.kafka.connect.errors.ConnectException: JDBC sink connector failure
\tat io.debezium.connector.jdbc.JdbcSinkConnectorTask.put(JdbcSinkConnectorTask.java:155)
\t... 11 more
Caused by: java.net.SocketException: Connection reset
\tat java.base/sun.nio.ch.NioSocketImpl.implRead(NioSocketImpl.java:328)
\t... 30 more
"""
"""As Connect 4.3.1 and Debezium 3.6.0 write it, shortened."""
RUNNING = {
    "name": "one",
    "connector": {"state": "RUNNING", "worker_id": "w"},
    "tasks": [{"id": 0, "state": "RUNNING", "worker_id": "w"}],
}
FAILED = RUNNING | {"tasks": [{"id": 0, "state": "FAILED", "worker_id": "w", "trace": TRACE}]}
NO_LOGIN = """\
org.hibernate.service.spi.ServiceException: Unable to create requested service [JdbcEnvironment] due to: Unable to \
determine Dialect without JDBC metadata
\tat org.hibernate.service.internal.AbstractServiceRegistryImpl.createService(AbstractServiceRegistryImpl.java:277)
Caused by: org.hibernate.HibernateException: Unable to determine Dialect without JDBC metadata
\t... 30 more
"""
"""All that is said of a login that fails."""
SHUT = RUNNING | {"tasks": [{"id": 0, "state": "FAILED", "worker_id": "w", "trace": NO_LOGIN}]}
STARTING = RUNNING | {"tasks": [{"id": 0, "state": "UNASSIGNED", "worker_id": "w"}]}
STOPPED = RUNNING | {"connector": {"state": "STOPPED", "worker_id": "w"}, "tasks": []}

Reply = tuple[int, object]
"""A status, and what is written as JSON; bytes as they are."""


@contextmanager
def serving(reply: Callable[[str, str], Reply]) -> Iterator[ConnectSettings]:
    """A server that answers to method and path, one request at a time."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = reply(self.command, self.path)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  # http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield ConnectSettings(url=f"http://127.0.0.1:{server.server_port}", timeout_s=3)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def answering(*answers: Reply) -> Iterator[ConnectSettings]:
    """A server that gives these answers one after the other, the last one for ever."""
    left = list(answers)
    with serving(lambda _method, _path: left.pop(0) if len(left) > 1 else left[0]) as settings:
        yield settings
