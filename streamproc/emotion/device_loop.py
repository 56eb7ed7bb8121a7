"""The loop of the device process: while it computes one batch, the next one is read and launched."""

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamproc.arena import Lease
from streamproc.emotion.device_message import MAX_BYTES, Item, decode_batch, encode_done
from streamproc.emotion.engine import UNDER_WAY, Wave
from streamproc.errors import Fatal, FatalError
from streamproc.records.compute import BatchDone, ItemError, Scored
from streamproc.records.embedding import problem_of

GLANCE_S = 0.001
"""How long to listen for the next batch before looking again whether the device is through with the last."""

Value = Scored | ItemError


class Begun(Protocol):
    """A batch that was begun."""

    @property
    def padding(self) -> int:
        """Samples that are computed for nothing, as far as is planned."""
        ...

    def ready(self) -> bool:
        """Whether there is nothing to wait for before ``take``."""
        ...

    def take(self) -> Sequence[Value]:
        """One value or one error per waveform."""
        ...


@dataclass(frozen=True, slots=True)
class Later:
    """A batch of an analyzer that computes it when it is taken."""

    run: Callable[[Sequence[Wave]], Sequence[Value]]
    waves: Sequence[Wave]

    @property
    def padding(self) -> int:
        """Whether it pads is its own affair."""
        return 0

    def ready(self) -> bool:
        """Nothing is under way that could be waited for."""
        return True

    def take(self) -> Sequence[Value]:
        """Compute it."""
        return self.run(self.waves)


Read = Callable[[Lease], Wave]
Begin = Callable[[Sequence[Wave]], Begun]


@dataclass(frozen=True, slots=True)
class _Batch:
    number: int
    items: Sequence[Item]
    begun: Begun
    at: float

    def answer(self, since: float, embed_dim: int) -> BatchDone:
        """Its values, and the seconds since it was begun or the batch before it was done.

        Raises FatalError when the analyzer gave more or fewer than it got.
        """
        found = self.begun.take()
        if len(found) != len(self.items):
            message = f"the analyzer gave {len(found)} values for {len(self.items)} segments"
            raise FatalError(message, Fatal.DEVICE_FAILS)
        values = tuple(_asked(value, item, embed_dim) for value, item in zip(found, self.items, strict=True))
        return BatchDone(self.number, values, time.perf_counter() - max(since, self.at), self.begun.padding)


def serve(connection: socket.socket, read: Read, begin: Begin, embed_dim: int) -> None:
    """Answer batches in their order until the other end closes, with embeddings of the items of which they are wanted.

    Raises ConnectionError when it does so in between; and what ``read`` raises, since a slot is held until its batch is
    answered: one that is somebody else's is a mistake of ours, or of a decoder, and no fault of its recording.
    """
    under_way: deque[_Batch] = deque()
    done_at = 0.0
    while True:
        if len(under_way) < UNDER_WAY and (not under_way or _another(connection, under_way[0].begun)):
            message = connection.recv(MAX_BYTES)
            if not message:
                return
            under_way.append(_begin(message, read, begin))
        else:
            answer = under_way.popleft().answer(done_at, embed_dim)
            done_at = time.perf_counter()
            for message in encode_done(answer):
                connection.send(message)


def _another(connection: socket.socket, first: Begun) -> bool:
    """Whether a message, or the end of them, comes before the first batch is through."""
    while True:
        ready = first.ready()
        if select.select([connection], [], [], 0 if ready else GLANCE_S)[0]:
            return True
        if ready:
            return False


def _begin(message: bytes, read: Read, begin: Begin) -> _Batch:
    at = time.perf_counter()
    number, items = decode_batch(message)
    return _Batch(number, items, begin([read(item.lease) for item in items]), at)


def _asked(value: Value, item: Item, embed_dim: int) -> Value:
    """What goes on of a value. One without the embedding that its analyzer is said to have is that item's fault."""
    if isinstance(value, ItemError):
        return value
    if not item.embedding:
        return Scored(value.scores)
    problem = problem_of(value.embedding, embed_dim)
    return ItemError(f"the analyzer gave no embedding: {problem}") if problem else value
