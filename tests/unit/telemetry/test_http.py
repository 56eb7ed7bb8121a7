import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
import structlog

from streamproc.settings import HttpSettings
from streamproc.telemetry.http import Check, Endpoints, HttpServer
from streamproc.telemetry.metrics import Metrics


class World:
    def __init__(self) -> None:
        self.health = Check(ok=True)
        self.ready = Check(ok=True)
        self.status: Mapping[str, object] = {"slot": "0", "state": "läuft"}
        self.metrics = Metrics()

        self.released = 0

    def release(self) -> bool:
        self.released += 1
        return self.released == 1

    def endpoints(self) -> Endpoints:
        return Endpoints(
            self.metrics.registry, lambda: self.health, lambda: self.ready, lambda: self.status, self.release
        )

    def fail(self) -> Check:
        raise RuntimeError("the secret plan")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World) -> Iterator[HttpServer]:
    endpoints = world.endpoints()
    server = HttpServer(HttpSettings(port=0), endpoints)
    server.start()
    yield server
    server.close()


def test_nobody_asks_dns_for_the_name_of_this_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_host: str) -> str:
        raise AssertionError("where DNS is away that takes seconds")

    monkeypatch.setattr(socket, "getfqdn", asked)
    HttpServer(HttpSettings(port=0), world.endpoints()).close()


def ask(
    server: HttpServer, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_metrics_are_exposed(world: World, server: HttpServer) -> None:
    world.metrics.transaction_aborts.inc()
    response, body = ask(server, "/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b"streamproc_transaction_aborts_total 1.0" in body


@pytest.mark.parametrize(("path", "name"), [("/healthz", "health"), ("/readyz", "ready")])
def test_a_check_is_200_or_503_and_says_why(world: World, server: HttpServer, path: str, name: str) -> None:
    response, body = ask(server, path)
    assert (response.status, json.loads(body)) == (200, {"ok": True})
    setattr(world, name, Check(ok=False, detail={"waiting": "store"}))
    response, body = ask(server, path)
    assert (response.status, json.loads(body)) == (503, {"ok": False, "waiting": "store"})


def test_status_is_json(world: World, server: HttpServer) -> None:
    response, body = ask(server, "/status")
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(body) == world.status


def test_head_has_the_headers_and_no_body(server: HttpServer) -> None:
    # By hand: a library would not look for a body that must not be there.
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"HEAD /status HTTP/1.0\r\n\r\n")
        answer = connection.makefile("rb").read()
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in headers
    assert b"Content-Length: " in headers
    assert body == b""


def test_the_brake_is_released_by_a_post_and_says_whether_it_was_on(server: HttpServer) -> None:
    assert [json.loads(ask(server, "/brake/release", "POST")[1]) for _ in range(2)] == [
        {"released": True},
        {"released": False},
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_but_a_post_releases_the_brake(world: World, server: HttpServer, method: str) -> None:
    response, _ = ask(server, "/brake/release", method)
    assert (response.status, response.headers["Allow"], world.released) == (405, "POST", 0)


def test_a_web_page_cannot_release_the_brake(world: World, server: HttpServer) -> None:
    response, _ = ask(server, "/brake/release", "POST", {"Origin": "https://example.com"})
    assert (response.status, world.released) == (403, 0)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_but_reading_is_allowed(server: HttpServer, method: str) -> None:
    response, _ = ask(server, "/status", method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_another_path_is_not_found(server: HttpServer) -> None:
    response, body = ask(server, "/etc/passwd")
    assert response.status == 404
    assert b"/status, and POST /brake/release" in body


def test_an_endpoint_that_fails_answers_500_without_the_text_and_logs_it(world: World) -> None:
    endpoints = replace(world.endpoints(), health=world.fail)
    server = HttpServer(HttpSettings(port=0), endpoints)
    server.start()
    with structlog.testing.capture_logs() as said:
        response, body = ask(server, "/healthz")
    server.close()
    assert (response.status, json.loads(body)) == (500, {"error": "RuntimeError"})
    assert [line["event"] for line in said] == ["an endpoint failed"]


def test_a_request_is_not_logged(server: HttpServer, capfd: pytest.CaptureFixture[str]) -> None:
    ask(server, "/healthz")
    assert capfd.readouterr() == ("", "")


def test_a_silent_client_does_not_hold_up_others(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server, "/healthz")[0].status == 200


def test_close_frees_the_port_and_a_taken_port_is_found_at_once(world: World) -> None:
    endpoints = world.endpoints()
    first = HttpServer(HttpSettings(port=0), endpoints)
    with pytest.raises(OSError, match="in use"):
        HttpServer(HttpSettings(port=first.port), endpoints)
    first.start()
    first.close()
    second = HttpServer(HttpSettings(port=first.port), endpoints)
    second.close()


def test_who_has_no_brake_has_none_to_release() -> None:
    endpoints = replace(World().endpoints(), release=None)
    told: list[str] = []
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/brake/release"}
    b"".join(endpoints(environ, lambda status, _headers: told.append(status)))  # type: ignore[arg-type]  # enough of WSGI
    assert told == ["405 Method Not Allowed"]
