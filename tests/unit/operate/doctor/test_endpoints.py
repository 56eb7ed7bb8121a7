import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streamproc.operate.doctor import endpoints
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import HttpSettings, KafkaSettings, Settings
from streamproc.telemetry.http import Check, Endpoints, HttpServer
from streamproc.telemetry.metrics import Metrics


def settings(port: int, host: str = "127.0.0.1") -> Settings:
    return Settings(http=HttpSettings(host=host, port=port), kafka=KafkaSettings(group="ours"))


@contextmanager
def answering(**status: object) -> Iterator[int]:
    well = Check(ok=True)
    server = HttpServer(HttpSettings(port=0), Endpoints(Metrics().registry, lambda: well, lambda: well, lambda: status))
    server.start()
    try:
        yield server.port
    finally:
        server.close()


def test_a_free_port_is_well_and_free_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = endpoints.check(settings(port)).look()
    assert (found.verdict, found.says) == (Verdict.WELL, f"127.0.0.1:{port} is free")
    socket.create_server(("127.0.0.1", port)).close()
    assert endpoints.check(settings(0)).look().verdict is Verdict.WELL


def test_a_worker_of_this_group_may_have_it() -> None:
    with answering(group="ours", state="working") as port:
        found = endpoints.check(settings(port)).look()
    assert found.verdict is Verdict.WELL
    assert f"a worker of this group has 127.0.0.1:{port}: it is working" in found.says
    assert "STREAMPROC_HTTP__PORT" in found.details[0]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"group": "theirs", "state": "working"}, "a worker of group theirs has"),
        ({"well": True}, "another program has"),
    ],
)
def test_one_of_another_group_may_not(status: dict[str, object], says: str) -> None:
    with answering(**status) as port:
        found = endpoints.check(settings(port)).look()
    assert found.verdict is Verdict.WRONG
    assert f"{says} 127.0.0.1:{port}, and kafka.group is ours" in found.says
    assert "STREAMPROC_HTTP__PORT" in found.advice


def test_nor_may_a_program_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.operate.endpoint.ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = endpoints.check(settings(port)).look()
    assert found.verdict is Verdict.WRONG
    assert found.says == f"what listens on 127.0.0.1:{port} does not answer: a worker that hangs, or another program"
    assert "End it" in found.advice
    assert "STREAMPROC_HTTP__PORT" in found.advice


def test_nor_may_a_program_that_answers_something_else() -> None:
    server = HttpServer(HttpSettings(port=0), endpoints._nobody)
    server.start()
    try:
        found = endpoints.check(settings(server.port)).look()
    finally:
        server.close()
    assert (found.verdict, found.says) == (Verdict.WRONG, f"another program listens on 127.0.0.1:{server.port}")


def test_an_address_of_another_computer_is_wrong() -> None:
    found = endpoints.check(settings(0, "192.0.2.1")).look()
    assert found.verdict is Verdict.WRONG
    assert "192.0.2.1:0 cannot be listened on" in found.says
