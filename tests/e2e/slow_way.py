"""A way to a TCP server that takes its time."""

import contextlib
import socket
import threading
import time
from typing import Self


class SlowWay:
    """Passes on what it is sent, and what comes back after ``delay_s``, which may be changed at any time.

    With ``drip_s`` that comes byte by byte, and each takes as long.
    """

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.delay_s = 0.0
        self.drip_s = 0.0

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._there)
                self._open += [here, there]
                threading.Thread(target=self._pass_on, args=(here, there, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(there, here, True), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, slowly: bool) -> None:  # noqa: FBT001  # of a thread's arguments
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if slowly:
                    time.sleep(self.delay_s)
                    data = self._dripped(data, other)
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _dripped(self, data: bytes, other: socket.socket) -> bytes:
        """What is left of it when it does not drip, or no more."""
        while data and self.drip_s:
            other.sendall(data[:1])
            data = data[1:]
            time.sleep(self.drip_s)
        return data
