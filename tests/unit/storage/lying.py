"""A TCP server that speaks HTTP as a test tells it to, true or not."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """One connection, as an answer sees it."""

    socket: socket.socket
    stopped: threading.Event
    sent: int = 0

    def send(self, data: bytes) -> bool:
        """Whether the client still took it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        self.sent += len(data)
        return True

    def respond(self, status: str, body: bytes = b"", length: int | None = -1, **headers: str) -> bool:
        declared = len(body) if length == -1 else length
        lines = [f"HTTP/1.1 {status}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if declared is not None:
            lines.append(f"Content-Length: {declared}")
        return self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Send RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def wake(self) -> None:
        """End a wait for the client's next request."""
        with contextlib.suppress(OSError):  # closed already
            self.socket.shutdown(socket.SHUT_RDWR)


Answer = Callable[[Peer, Request], object]
"""Answers one request; anything true keeps the connection for the next one."""


@dataclass
class LyingServer:
    """A real TCP server that answers what a test tells it to, true or not."""

    answer: Answer | None = None
    by_method: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self.peers:
            peer.wake()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(connection, self._stopped)
            self.peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: Peer) -> None:
        with peer.socket, peer.socket.makefile("rb") as stream:
            while request := _read_request(stream):
                self.requests.append(request)
                answer = self.by_method.get(request.method, self.answer)
                if answer is None or not answer(peer, request):
                    return


def _read_request(stream: BinaryIO) -> Request | None:
    lines: list[str] = []
    try:
        while (line := stream.readline().decode("latin-1").rstrip("\r\n")) or not lines:
            if not line:
                return None
            lines.append(line)
        method, target, _ = lines[0].split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        body = stream.read(int(headers.get("content-length", 0)))
    except OSError:
        return None
    return Request(method, target, headers, body)
