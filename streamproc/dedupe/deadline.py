"""A Redis client whose calls end in time, whatever the server sends.

The client's own time-outs are for one read of its socket. An answer takes as many reads as its bytes come in, so that
a server that sends one now and then would hold its caller for ever.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from streamproc.errors import UsageError

_LEAST_S = 0.001
"""A time-out of 0 would mean: do not block."""


class Deadline:
    """When the call that a thread is in has to be over. Each thread has its own."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._call = threading.local()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Whatever this thread asks of the client inside is one call."""
        self._call.until = self._now() + self._seconds
        try:
            yield
        finally:
            del self._call.until

    def left_s(self) -> float:
        """Seconds that the call has left, none or less when it is over; all of them outside a call."""
        until: float = getattr(self._call, "until", self._now() + self._seconds)
        return until - self._now()


class TimedSocket:
    """A socket that waits for as long as the call has, and not for as long again with each read."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def recv(self, *args: Any) -> bytes:
        """As of a socket. Raises TimeoutError."""
        self._allow()
        return self._socket.recv(*args)

    def recv_into(self, *args: Any) -> int:
        """As of a socket. Raises TimeoutError."""
        self._allow()
        return self._socket.recv_into(*args)

    def sendall(self, data: bytes) -> None:
        """As of a socket, whose time-out is for all of it. Raises TimeoutError."""
        self._allow()
        self._socket.sendall(data)

    def _allow(self) -> None:
        if self._socket.gettimeout() == 0:
            return  # a look at whether there is something to read
        left_s = self._deadline.left_s()
        if left_s <= 0:
            raise TimeoutError("the call took too long")
        self._socket.settimeout(left_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class _Timed(AbstractConnection):
    """What makes a connection of the library a timed one: before it in the order of the classes."""

    def __init__(self, *, deadline: Deadline, **kwargs: Any) -> None:
        self._deadline = deadline
        super().__init__(**kwargs)

    @property
    def socket_timeout(self) -> float | None:
        """For a TLS handshake: it is made before there is a timed socket."""
        return max(self._deadline.left_s(), _LEAST_S)

    @socket_timeout.setter
    def socket_timeout(self, _value: float | None) -> None:
        """The library's default, which is not ours."""

    @property
    def socket_connect_timeout(self) -> float | None:
        """For each address of the host, one after the other."""
        return self.socket_timeout

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, _value: float | None) -> None:
        """The library's default, which is not ours."""

    def _connect(self) -> TimedSocket:
        """Each of the library's kinds of connection has this method of its own."""
        return TimedSocket(super()._connect(), self._deadline)  # type: ignore[safe-super,no-untyped-call]  # of the kind


class _TimedTcp(_Timed, Connection):
    pass


class _TimedTls(_Timed, SSLConnection):
    pass


class _TimedUnix(_Timed, UnixDomainSocketConnection):
    pass


_KINDS = {"rediss": _TimedTls, "unix": _TimedUnix}


def connect(url: str, deadline: Deadline) -> Redis:
    """A client that has not connected yet, and tries once. A call's look-up of the host's name alone has no bound.

    Raises UsageError for a url that Redis cannot have.
    """
    try:
        return Redis.from_url(
            url,
            connection_class=_KINDS.get(url.partition("://")[0], _TimedTcp),
            deadline=deadline,
            # Said aloud: other ways to make a client try three times more. Here that is the breaker's business.
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
    except ValueError:
        raise UsageError("redis.url is not redis://, rediss:// or unix:// with a database number") from None
