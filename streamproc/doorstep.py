"""The doorstep: a worker answers here while its settings, its log and its real endpoints are still being read.

That takes some tenths of a second, in which whoever probes would be refused. Imports as little as can be, and has to:
it speaks what HTTP it needs itself. The socket is handed over as it is, so that nobody is refused in between.
"""

import json
import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus

from streamproc.glance import Glance, glance
from streamproc.telemetry.listening import listen_on
from streamproc.worker.step import NOTHING_YET, STARTING, Step, waiting

_REQUEST_S = 5.0
"""For a client to send the next piece of its request."""
_MOST_BYTES = 65_536
"""Of a request: its first line is all that is looked at."""
_END = b"\r\n\r\n"

_Answer = tuple[HTTPStatus, Mapping[str, object]]


class Doorstep:
    """Answers on a thread of its own until it is handed over; ``glance`` says where. Raises OSError, OverflowError."""

    def __init__(self, glance: Glance) -> None:
        self.began = time.monotonic()
        """When the worker began, by the monotonic clock."""
        self._glance = glance
        self._listening = listen_on(glance.host, glance.port)
        self._listening.setblocking(False)  # a client may be gone again by the time it is let in
        self.port: int = self._listening.getsockname()[1]
        self._over, self._end = os.pipe()
        self._thread = threading.Thread(target=self._let_in, name="doorstep", daemon=True)
        self._thread.start()

    @property
    def answers(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def hand_over(self, host: str, port: int) -> socket.socket | None:
        """End, and give the listening socket to whoever goes on; None where another address is wanted after all."""
        self._leave()
        if (host, port) != (self._glance.host, self._glance.port):
            self._listening.close()
            return None
        self._listening.setblocking(True)
        return self._listening

    def close(self) -> None:
        """End, and free the port."""
        self._leave()
        self._listening.close()

    def _leave(self) -> None:
        os.close(self._end)
        self._thread.join()
        os.close(self._over)

    def _let_in(self) -> None:
        watched = [self._listening.fileno(), self._over]
        while self._over not in select.select(watched, [], [])[0]:
            with suppress(OSError):
                connection, _ = self._listening.accept()
                # Each on its own, so that one who says nothing holds up nobody, nor the start.
                threading.Thread(target=self._serve, args=(connection,), name="doorstep", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(_REQUEST_S)
            request = b""
            while _END not in request and len(request) < _MOST_BYTES:
                piece = connection.recv(4096)
                if not piece:
                    return
                request += piece
            method, target, *_ = [*request.partition(b"\r\n")[0].split(b" "), b"", b""]
            status, told = self._answer(target.partition(b"?")[0])
            body = json.dumps(told, ensure_ascii=False).encode() + b"\n"
            connection.sendall(_head(status, len(body)) + (b"" if method == b"HEAD" else body))

    def _answer(self, path: bytes) -> _Answer:
        seconds = time.monotonic() - self.began
        waits = waiting(Step.IMPORTS, seconds)
        match path:
            case b"/status":
                told = {"state": STARTING, **NOTHING_YET, "group": self._glance.group, "uptime_s": round(seconds, 3)}
                return HTTPStatus.OK, {**told, **waits}
            case b"/healthz":
                return HTTPStatus.OK, {"ok": True, "state": STARTING}
            case b"/readyz":
                return HTTPStatus.SERVICE_UNAVAILABLE, {"ok": False, "state": STARTING, "brake": {}}
            case b"/startupz":
                return HTTPStatus.SERVICE_UNAVAILABLE, {"ok": False, **waits}
            case _:
                return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "this worker has just begun; ask again", **waits}


def _head(status: HTTPStatus, length: int) -> bytes:
    lines = (
        f"HTTP/1.0 {status.value} {status.phrase}",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {length}",
        "Cache-Control: no-store",
    )
    return "\r\n".join(lines).encode() + _END


def open_doorstep(variables: Mapping[str, str]) -> Doorstep | None:
    """Begin to answer; None where the address is not seen at a glance or cannot be had: the entrance says why."""
    seen = glance(variables)
    try:
        return Doorstep(seen) if seen else None
    except (OSError, OverflowError, ValueError, TypeError):
        return None
