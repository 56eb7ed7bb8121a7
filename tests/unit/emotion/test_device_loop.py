"""The loop of the device process, on a pair of real sockets and batches whose end the test decides."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from streamproc.arena import Lease
from streamproc.emotion.device_loop import Value, serve
from streamproc.emotion.device_message import MAX_BYTES, Embedded, decode_answer
from streamproc.emotion.engine import UNDER_WAY
from streamproc.errors import FatalError
from streamproc.records.compute import BatchDone, ItemError, Scored
from streamproc.records.embedding import pack

PATIENCE_S = 20.0
EMBED_DIM = 2
SHORT, NAN, TOO_MANY = 101, 102, 103
"""Slots of waveforms that an analyzer has other embeddings for than it says, or more values than waveforms."""


@dataclass
class Batch:
    """A begun batch that is ready when it is told to be."""

    waves: Sequence[NDArray[np.float32]]
    through: threading.Event
    taken: threading.Event = field(default_factory=threading.Event)
    padding = 7

    def ready(self) -> bool:
        return self.through.is_set()

    def take(self) -> list[Value]:
        assert self.through.wait(PATIENCE_S)
        self.taken.set()
        slots = [int(wave[0]) for wave in self.waves]
        found: list[Value] = [value(slot) for slot in slots]
        return found * (1 + (TOO_MANY in slots))


def value(slot: int) -> Scored:
    numbers = np.full(EMBED_DIM - (slot == SHORT), np.nan if slot == NAN else slot)
    return Scored((float(slot),), pack(numbers))


class Device:
    """The other end of the loop, which runs in a thread."""

    def __init__(self, *, through: bool) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(PATIENCE_S)
        self.begun: list[Batch] = []
        self.error: FatalError | None = None
        self._through = through
        self._thread = threading.Thread(target=self._serve, args=(theirs,))
        self._thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            try:
                serve(connection, self._read, self._begin, EMBED_DIM)
            except FatalError as error:
                self.error = error

    def _read(self, lease: Lease) -> NDArray[np.float32]:
        return np.full(400, lease.slot, np.float32)

    def _begin(self, waves: Sequence[NDArray[np.float32]]) -> Batch:
        through = threading.Event()
        if self._through:
            through.set()
        self.begun.append(Batch(waves, through))
        return self.begun[-1]

    def send(self, batch: int, *leases: Lease, embedding: bool = False) -> None:
        self.ours.send(json.dumps({"batch": batch, "items": [(*lease, embedding) for lease in leases]}).encode())

    def hear(self) -> object:
        return decode_answer(self.ours.recv(MAX_BYTES))

    def take(self) -> BatchDone:
        answer = self.hear()
        assert isinstance(answer, BatchDone)
        return answer

    def wait_begun(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.begun) < count:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def close(self) -> None:
        self.ours.close()
        for batch in self.begun:
            batch.through.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device(through=False)
    yield device
    device.close()


@pytest.fixture
def prompt() -> Iterator[Device]:
    """One whose batches are through as soon as they are begun, as on the CPU: there is nothing to wait for."""
    device = Device(through=True)
    yield device
    device.close()


def test_the_next_batch_is_begun_while_the_device_has_the_first(device: Device) -> None:
    device.send(1, Lease(1, 0))
    device.wait_begun(1)
    device.send(2, Lease(2, 0))
    device.wait_begun(2)
    assert not device.begun[0].taken.is_set()
    for batch in device.begun:
        batch.through.set()
    assert [device.take().batch, device.take().batch] == [1, 2]


def test_no_more_than_two_are_under_way(device: Device) -> None:
    for number in range(UNDER_WAY + 1):
        device.send(number, Lease(number, 0))
    device.wait_begun(UNDER_WAY)
    time.sleep(0.02)
    assert len(device.begun) == UNDER_WAY
    device.begun[0].through.set()
    assert device.take().batch == 0
    device.wait_begun(UNDER_WAY + 1)


def test_a_batch_that_is_through_is_answered_though_none_follows(device: Device) -> None:
    device.send(1, Lease(1, 0))
    device.wait_begun(1)
    device.begun[0].through.set()
    assert device.take().batch == 1


def test_many_batches_are_answered_in_their_order(prompt: Device) -> None:
    for number in range(50):
        prompt.send(number, Lease(number % 8, 0))
    assert [prompt.take().batch for _ in range(50)] == list(range(50))


def test_seconds_are_those_that_a_batch_had_the_device(device: Device) -> None:
    device.send(1, Lease(1, 0))
    device.send(2, Lease(2, 0))
    device.wait_begun(2)
    time.sleep(0.2)
    for batch in device.begun:
        batch.through.set()
    first, second = device.take(), device.take()
    assert first.seconds >= 0.2 > second.seconds >= 0


def test_embeddings_go_ahead_of_their_batch(prompt: Device) -> None:
    prompt.send(1, Lease(7, 0), Lease(8, 0), embedding=True)
    assert prompt.hear() == Embedded(1, 0, value(7).embedding)
    assert prompt.hear() == Embedded(1, 1, value(8).embedding)
    assert prompt.take().items == (Scored((7.0,)), Scored((8.0,)))


def test_what_nobody_wants_stays(prompt: Device) -> None:
    prompt.send(1, Lease(7, 0), Lease(NAN, 0))
    assert prompt.take().items == (Scored((7.0,)), Scored((float(NAN),)))


@pytest.mark.parametrize(("slot", "told"), [(SHORT, "4 bytes, not 2 float32"), (NAN, "not finite")])
def test_one_without_the_embedding_that_is_promised_is_an_error_and_harms_no_neighbour(
    prompt: Device, slot: int, told: str
) -> None:
    prompt.send(1, Lease(slot, 0), Lease(8, 0), embedding=True)
    assert prompt.hear() == Embedded(1, 1, value(8).embedding)
    error, scored = prompt.take().items
    assert isinstance(error, ItemError)
    assert told in error.message
    assert scored == Scored((8.0,))


def test_an_analyzer_that_gives_a_value_too_many_ends_its_process(prompt: Device) -> None:
    prompt.send(1, Lease(TOO_MANY, 0))
    assert prompt.ours.recv(MAX_BYTES) == b""
    prompt.close()
    assert "2 values for 1 segments" in str(prompt.error)
