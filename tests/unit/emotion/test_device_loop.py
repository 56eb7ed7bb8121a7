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
from streamproc.emotion.device_message import MAX_BYTES, decode_answer
from streamproc.emotion.engine import UNDER_WAY
from streamproc.records.compute import BatchDone

PATIENCE_S = 20.0


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
        return [(float(wave[0]),) for wave in self.waves]


class Device:
    """The other end of the loop, which runs in a thread."""

    def __init__(self, *, through: bool) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(PATIENCE_S)
        self.begun: list[Batch] = []
        self._through = through
        self._thread = threading.Thread(target=self._serve, args=(theirs,))
        self._thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            serve(connection, self._read, self._begin)

    def _read(self, lease: Lease) -> NDArray[np.float32]:
        return np.full(400, lease.slot, np.float32)

    def _begin(self, waves: Sequence[NDArray[np.float32]]) -> Batch:
        through = threading.Event()
        if self._through:
            through.set()
        self.begun.append(Batch(waves, through))
        return self.begun[-1]

    def send(self, batch: int, *leases: Lease) -> None:
        self.ours.send(json.dumps({"batch": batch, "items": leases}).encode())

    def take(self) -> BatchDone:
        answer = decode_answer(self.ours.recv(MAX_BYTES))
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
