"""TLS spoken to a port without it, and the other way round: each is told as that, whatever the client made of it."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from socket import socket
from socketserver import BaseRequestHandler, StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from pydantic import SecretStr

from streamproc.operate.doctor import brokers, cache, registry, store
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.examine import examine
from streamproc.operate.doctor.wire import Wire, wire_of, wire_of_brokers
from streamproc.settings import KafkaSettings, RedisSettings, RegistrySettings, Settings, StorageSettings
from streamproc.telemetry.clock import SystemClock
from tests.certificates import certificate_in

Serve = Callable[..., int]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_in(tmp_path_factory.mktemp("tls"))


class Line(StreamRequestHandler):
    """Reads a line and refuses it."""

    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"

    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(self.answer)


class Redis(Line):
    answer = b"-ERR unknown command\r\n"


class Server(ThreadingTCPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(5)
        return self.context.wrap_socket(connection, server_side=True) if self.context else connection, address

    def handle_error(self, *_: object) -> None:
        """Whoever speaks otherwise is no news."""


@pytest.fixture
def serve(certificate: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def serve(handler: type[BaseRequestHandler], *, tls: bool) -> int:
            server = Server(("127.0.0.1", 0), handler)
            if tls:
                server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                server.context.load_cert_chain(certificate)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(server.server_close)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            port: int = server.server_address[1]
            return port

        yield serve


def checks(web: int, redis: int, *, tls: bool) -> list[Check]:
    s = "s" if tls else ""
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{redis}", security_protocol="ssl" if tls else "plaintext"),
        registry=RegistrySettings(url=f"http{s}://127.0.0.1:{web}", timeout_s=1),
        redis=RedisSettings(url=SecretStr(f"redis{s}://:secret@127.0.0.1:{redis}/0")),
        storage=StorageSettings(endpoint=f"http{s}://127.0.0.1:{web}"),
    )
    clock = SystemClock()
    return [
        brokers.check(settings),
        registry.check(settings),
        store.check(settings, clock),
        cache.check(settings, clock),
    ]


@pytest.mark.parametrize("tls", [True, False], ids=["TLS to a plain port", "no TLS to a port with it"])
def test_it_is_told_what_to_set(serve: Serve, *, tls: bool) -> None:
    web, redis = serve(Line, tls=not tls), serve(Redis, tls=not tls)
    s, found = "" if tls else "s", "answers without TLS" if tls else "speaks TLS"
    protocol = "plaintext or sasl_plaintext" if tls else "ssl or sasl_ssl"
    assert {one.check: one.advice for one in examine(checks(web, redis, tls=tls))} == {
        "brokers": f"127.0.0.1:{redis} {found}: set kafka.security_protocol to {protocol}, or correct the port.",
        "registry": f"127.0.0.1:{web} {found}: begin registry.url with http{s}://, or correct the port.",
        "store": f"127.0.0.1:{web} {found}: begin storage.endpoint with http{s}://, or correct the port.",
        "redis": f"127.0.0.1:{redis} {found}: begin redis.url with redis{s}://, or correct the port.",
    }


def test_where_both_ends_agree_or_nobody_is_there_it_says_nothing(serve: Serve) -> None:
    for tls in (True, False):
        assert Wire("127.0.0.1", serve(Line, tls=tls), tls, "plain", "encrypted").cure() is None
        assert Wire("127.0.0.1", 1, tls, "plain", "encrypted").cure() is None


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://there", ("there", 443, True)),
        ("rediss://user:secret@[::1]:7/0", ("::1", 7, True)),
        ("redis://there", ("there", 6379, False)),
        ("unix:///run/redis.sock", None),
        ("http://there:many", None),
        ("", None),
    ],
)
def test_an_address_is_taken_apart(url: str, place: tuple[str, int, bool] | None) -> None:
    wire = wire_of("redis.url", url)
    assert (wire and (wire.host, wire.port, wire.tls)) == place


@pytest.mark.parametrize(
    ("servers", "place"),
    [("a:1,b:2", ("a", 1)), (" SASL_SSL://[::1]:9 ", ("::1", 9)), ("nowhere", None), ("a:b", None)],
)
def test_the_first_broker_is_looked_at(servers: str, place: tuple[str, int] | None) -> None:
    wire = wire_of_brokers(servers, "sasl_ssl")
    assert (wire and (wire.host, wire.port)) == place
    assert wire is None or wire.tls
