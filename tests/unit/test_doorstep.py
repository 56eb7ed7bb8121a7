import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc.cli import answer_early
from streamproc.doorstep import Doorstep, open_doorstep
from streamproc.entrance import open_front
from streamproc.glance import Glance
from streamproc.settings import HttpSettings, KafkaSettings, Settings

HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def doorstep() -> Iterator[Doorstep]:
    one = Doorstep(Glance(port=0, group="g"))
    yield one
    if one.answers:
        one.close()


def ask(port: int, path: str, method: str = "GET") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body else None
    finally:
        connection.close()


def test_it_answers_what_the_front_would(doorstep: Doorstep) -> None:
    settings = Settings(http=HttpSettings(port=0), kafka=KafkaSettings(group="g"))
    with open_front(settings) as front:
        later = int(front.url.rpartition(":")[2])
        for path in ("/status", "/healthz", "/readyz", "/startupz", "/status?now"):
            early, late = ask(doorstep.port, path), ask(later, path)
            for _, body in (early, late):
                for moment in {"seconds", "uptime_s"} & body.keys():
                    assert 0 <= body.pop(moment) < 60
            assert early == late, path
    assert ask(doorstep.port, "/status", "HEAD") == (200, None)


@pytest.mark.parametrize("path", ["/metrics", "/brake/release", "/nonsense"])
def test_what_it_cannot_answer_yet_is_to_be_asked_again(doorstep: Doorstep, path: str) -> None:
    status, body = ask(doorstep.port, path)
    assert (status, body["waits_for"]) == (503, "its own code to be read")


def test_the_entrance_takes_its_socket_its_place_and_its_age(doorstep: Doorstep) -> None:
    refused, over = [], threading.Event()

    def visit() -> None:
        while not over.is_set():
            try:
                assert ask(doorstep.port, "/status")[0] == 200
            except OSError as error:
                refused.append(error)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        doorstep.began -= 1000
        with open_front(Settings(http=HttpSettings(port=0)), doorstep) as front:
            assert front.url == f"http://{HOST}:{doorstep.port}"
            status, told = ask(doorstep.port, "/status")
            assert ask(doorstep.port, "/nonsense")[0] == 404  # 503 on the doorstep
            over.set()
            visitor.join()
    finally:
        over.set()
    assert (status, told["uptime_s"] >= 1000, told["seconds"] >= 1000) == (200, True, True)
    assert refused == []
    with pytest.raises(ConnectionRefusedError):
        ask(doorstep.port, "/status")


def test_a_silent_visitor_holds_nobody_up(doorstep: Doorstep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.doorstep._REQUEST_S", 60)
    with socket.create_connection((HOST, doorstep.port)):
        assert ask(doorstep.port, "/healthz") == (200, {"ok": True, "state": "starting"})
        with open_front(Settings(http=HttpSettings(port=0)), doorstep):
            assert ask(doorstep.port, "/healthz")[0] == 200


def test_where_the_settings_say_another_address_the_entrance_listens_there(doorstep: Doorstep) -> None:
    with open_front(Settings(http=HttpSettings(host="localhost", port=0)), doorstep) as front:
        assert front.url.startswith("http://localhost:")
        with pytest.raises(ConnectionRefusedError):
            ask(doorstep.port, "/status")


@pytest.mark.parametrize("port", ["70000", "-1", "taken"])
def test_an_address_that_cannot_be_had_is_left_to_the_entrance(doorstep: Doorstep, port: str) -> None:
    assert open_doorstep({"STREAMPROC_HTTP__PORT": port.replace("taken", str(doorstep.port))}) is None
    assert open_doorstep({"STREAMPROC_HTTP__PORT": "0", "STREAMPROC_HTTP__HOST": "a\0b"}) is None


@pytest.mark.parametrize("words", [["status"], [], ["worker", "--help"], ["publish", "worker"], ["--version"]])
def test_nothing_but_a_worker_opens_one(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_HTTP__PORT", "0")
    assert answer_early(words) is None


@pytest.mark.parametrize("words", [["worker"], ["--debug", "worker"]])
def test_a_worker_does(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_HTTP__PORT", "0")
    found = answer_early(words)
    assert isinstance(found, Doorstep)
    found.close()
