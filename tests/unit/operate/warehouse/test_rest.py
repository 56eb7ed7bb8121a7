"""What Connect's answers mean; which it gives is seen on the real one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from streamproc.errors import DependencyDownError, UsageError
from streamproc.operate.warehouse.rest import State, open_connect
from streamproc.settings import ConnectSettings

SETTLING = (500, {"error_code": 500, "message": "Request cannot be completed because a rebalance is expected"})
TRACE = "org.apache.kafka.connect.errors.ConnectException: no\n\tat somewhere\n"
STATUS = {
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


@pytest.mark.parametrize("first", [SETTLING, (409, {"message": "rebalancing"}), (503, {"message": "starting"})])
def test_workers_that_settle_are_asked_again(first: tuple[int, object]) -> None:
    with answering(first, (200, {"topics": "t"})) as settings, open_connect(settings) as connect:
        assert connect.config("one") == {"topics": "t"}


def test_workers_that_never_settle_are_away() -> None:
    with answering(SETTLING) as settings:
        hurried = settings.model_copy(update={"timeout_s": 0.6})
        with open_connect(hurried) as connect, pytest.raises(DependencyDownError, match=r"rebalance.*"):
            connect.config("one")


def test_a_refused_configuration_is_wrong_use_with_what_connect_said() -> None:
    with (
        answering((400, {"message": "topics is missing"})) as settings,
        open_connect(settings) as connect,
        pytest.raises(UsageError, match="topics is missing"),
    ):
        connect.put("one", {})


def test_a_failed_task_is_told_by_the_first_line_of_its_trace() -> None:
    with answering((200, STATUS)) as settings, open_connect(settings) as connect:
        assert connect.state("one") == State("RUNNING", ("FAILED",), TRACE.splitlines()[0])


def test_a_connector_that_is_not_there_has_no_state_and_no_configuration() -> None:
    with answering((404, {"message": "no"})) as settings, open_connect(settings) as connect:
        assert connect.state("one") is None
        assert connect.config("one") is None


def test_nobody_at_the_address_is_a_dependency_that_is_away() -> None:
    nowhere = ConnectSettings(url="http://127.0.0.1:1", timeout_s=1)
    with open_connect(nowhere) as connect, pytest.raises(DependencyDownError, match=r"connect\.url"):
        connect.state("one")


@pytest.mark.parametrize("url", ["localhost:8083", "ftp://connect", "http://"])
def test_what_is_no_address_is_wrong_use(url: str) -> None:
    with pytest.raises(UsageError, match=r"connect\.url"), open_connect(ConnectSettings(url=url)):
        pass
