"""Commits without a transaction that other threads ask of the one that polls."""

from collections import deque
from collections.abc import Callable, Sequence

from streamproc.records.record import CommitOffset
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.errors import BrokerUnavailable, Refusal, RefusedError
from streamproc.testing.broker.membership import Membership

_TURN_S = 0.01
"""How often whoever asked looks whether it was done."""


class _Request:
    __slots__ = ("departures", "done", "error", "offsets")

    def __init__(self, offsets: Sequence[CommitOffset], departures: int) -> None:
        self.offsets = tuple(offsets)
        self.departures = departures
        self.done = False
        self.error: RefusedError | BrokerUnavailable | None = None


class AskedCommits:
    """A queue of them, served by the polling thread. ``asked`` is called when something waits for that thread."""

    def __init__(
        self,
        broker: MemoryBroker,
        membership: Membership,
        sleep: Callable[[float], None],
        asked: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._membership = membership
        self._sleep = sleep
        self._asked = asked
        self._waiting: deque[_Request] = deque()
        self._closed = False
        self.departures = 0
        """How often partitions went away."""

    def ask(self, offsets: Sequence[CommitOffset], departures: int, *, at_once: bool) -> None:
        """Wait until it is done; with ``at_once`` it is done here. Raises RefusedError or BrokerUnavailable."""
        request = _Request(offsets, departures)
        self._waiting.append(request)
        if at_once or self._closed:
            self.serve()
        else:
            self._asked()
        while not request.done:
            self._sleep(_TURN_S)
        if request.error is not None:
            raise request.error

    def serve(self) -> None:
        """Do what was asked, under the identity that the client has now."""
        while self._waiting:
            request = self._waiting.popleft()
            try:
                self._commit(request)
            except (RefusedError, BrokerUnavailable) as error:
                request.error = error
            request.done = True

    def close(self) -> None:
        """Refuse all, also later ones: nobody serves any more."""
        self._closed = True
        self.serve()

    def _commit(self, request: _Request) -> None:
        if self._closed:
            raise RefusedError(Refusal.UNKNOWN_MEMBER_ID, "the source was closed")
        if request.departures != self.departures:
            raise RefusedError(Refusal.ILLEGAL_GENERATION, "partitions went away after this commit was begun")
        self._broker.commit_offsets(self._membership.metadata(), request.offsets)
