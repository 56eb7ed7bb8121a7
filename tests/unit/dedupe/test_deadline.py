"""A client of Redis over each kind of connection, against a server that answers byte by byte."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer, ThreadingUnixStreamServer

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from streamproc.dedupe.deadline import Deadline, connect
from tests.certificates import certificate_in

TIMEOUT_S = 0.3
DRIP_S = 0.2
"""Less than the time-out: each byte alone comes in time."""
KINDS = ["redis", "rediss", "unix"]


class Drips(BaseRequestHandler):
    """Greets, and answers each command with ``+word`` and as many seconds between the bytes as the server says."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, TcpServer | UnixServer)
        with contextlib.suppress(OSError):
            if server.silent.is_set():
                server.stopped.wait(10)
                return
            line = server.context.wrap_socket(self.request, server_side=True) if server.context else self.request
            with line:
                self.answer(line, server)

    @staticmethod
    def answer(line: socket.socket, server: "TcpServer | UnixServer") -> None:
        while data := line.recv(65_536):
            greetings = data.count(b"SETINFO")
            line.sendall(b"+OK\r\n" * greetings)
            for byte in b"" if greetings else b"+word\r\n":
                line.sendall(bytes([byte]))
                server.stopped.wait(server.drip_s)


class TcpServer(ThreadingTCPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None
    drip_s = 0.0

    def __init__(self) -> None:
        self.stopped, self.silent = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Drips)


class UnixServer(ThreadingUnixStreamServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None
    drip_s = 0.0

    def __init__(self, path: Path) -> None:
        self.stopped, self.silent = threading.Event(), threading.Event()
        super().__init__(str(path), Drips)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate_in(tmp_path_factory.mktemp("tls")))
    return made


class Place:
    """A server and its url."""

    def __init__(self, kind: str, folder: Path, context: ssl.SSLContext) -> None:
        self.server: TcpServer | UnixServer
        if kind == "unix":
            self.server = UnixServer(folder / "redis.sock")
            self.url = f"unix://{folder / 'redis.sock'}?db=0"
        else:
            self.server = TcpServer()
            self.url = f"{kind}://127.0.0.1:{self.server.server_address[1]}/0"
        if kind == "rediss":
            self.server.context = context
            self.url += "?ssl_cert_reqs=none&ssl_check_hostname=false"


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, context: ssl.SSLContext) -> Iterator[Place]:
    place = Place(request.param, tmp_path, context)
    thread = threading.Thread(target=place.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield place
    place.server.stopped.set()
    place.server.shutdown()
    thread.join()
    place.server.server_close()


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """What a call may take and half a second for a busy machine."""
    started = time.monotonic()
    with pytest.raises(RedisTimeoutError):
        yield
    assert time.monotonic() - started < TIMEOUT_S + 0.5


def test_a_call_ends_in_time_though_each_byte_does_come(place: Place) -> None:
    deadline = Deadline(TIMEOUT_S)
    with connect(place.url, deadline) as client:
        for _ in range(3):
            with deadline.call():
                assert client.get("a") == b"word"
        place.server.drip_s = DRIP_S
        with deadline.call(), in_time():
            client.get("a")
        place.server.drip_s = 0
        with deadline.call():
            assert client.get("a") == b"word"


def test_a_connection_on_which_nothing_is_said_ends_in_time(place: Place) -> None:
    place.server.silent.set()
    deadline = Deadline(TIMEOUT_S)
    with connect(place.url, deadline) as client, deadline.call(), in_time():
        client.get("a")


def test_what_one_call_took_is_not_taken_from_the_next_nor_from_another_thread_s() -> None:
    now = 0.0
    deadline = Deadline(5, lambda: now)
    others: list[float] = []
    for _ in range(2):
        with deadline.call():
            now += 3
            assert deadline.left_s() == 2
            thread = threading.Thread(target=lambda: others.append(deadline.left_s()))
            thread.start()
            thread.join()
            now += 3
            assert deadline.left_s() == -1
    assert others == [5, 5]
    assert deadline.left_s() == 5


def test_a_connection_is_kept_for_the_next_call(place: Place) -> None:
    deadline = Deadline(TIMEOUT_S)
    with connect(place.url, deadline) as client:
        with deadline.call():
            client.get("a")
        (kept,) = client.connection_pool._available_connections
        time.sleep(TIMEOUT_S)
        with deadline.call():
            assert client.get("a") == b"word"
        assert client.connection_pool._available_connections == [kept]
        assert kept.is_connected
