"""Bytes are let go of when their credit is: what is given away twice is held twice."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from streamproc.records.record import TopicPartition
from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import StoredObject
from streamproc.telemetry.timesheet import Activity
from streamproc.testing.codec import JsonEvents, encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.testing.simulation.held import Loan, Loans, lend
from streamproc.testing.store import MemoryStore
from streamproc.testing.tier import MemorySharedTier
from streamproc.worker.calls import PooledCalls
from streamproc.worker.stages.fetch import fetch_content
from tests.unit.worker.test_runtime import IN

LOST = [TopicPartition(IN, 0)]


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """What is freed at some later time is held until then."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def loans(monkeypatch: pytest.MonkeyPatch) -> Loans:
    """Bytes that are held of what stores gave."""
    loans, get = Loans(), MemoryStore.get

    def lending(self: MemoryStore, *arguments: Any) -> StoredObject:
        stored = get(self, *arguments)
        return replace(stored, body=lend(stored.body, loans, Loan(len(stored.body), 0)))

    monkeypatch.setattr(MemoryStore, "get", lending)
    return loans


def take(worker: WorkerHarness, *names: str) -> int:
    """Take records of partition 0; how many bytes their recordings have."""
    worker.assign(0)
    bodies = [recording(1000, name=name) for name in names]
    for name, body in zip(names, bodies, strict=True):
        worker.store.put("recordings", name, body, "audio/wav")
    worker.poll(*(worker.record(encode_event(object_key=name)) for name in names))
    worker.settle()
    return sum(map(len, bodies))


def test_while_a_tier_is_asked_about_them(loans: Loans) -> None:
    worker = WorkerHarness(shared=MemorySharedTier())
    worker.tier_reads.at_once = False
    assert take(worker, "a", "b") == loans.size > 0
    worker.pipeline.lose(LOST)
    assert (loans.size, worker.pipeline.in_flight["records"]) == (0, 2)
    worker.tier_reads.at_once = True
    worker.settle()
    assert worker.pipeline.idle


@pytest.mark.parametrize("leave", ["lose", "revoke"])
def test_while_they_wait_for_a_decoder(loans: Loans, leave: str) -> None:
    worker = WorkerHarness()
    worker.decoders.held = True
    assert take(worker, "a", "b", "c", "d") == loans.size > 0
    getattr(worker.pipeline, leave)(LOST)
    assert loans.size == sum(map(len, worker.decoders.running.values()))
    worker.pipeline.step()
    assert loans.size == 0


class AtOnce:
    """An executor that calls at once."""

    def submit(self, _activity: Activity, call: Callable[..., None], /, *arguments: Any) -> None:
        call(*arguments)

    def close(self) -> None:
        """Nothing to end."""


class Deaf:
    """A wake that nobody sleeps on."""

    def set(self) -> None:
        """Nothing."""

    def sleep(self, timeout_s: float, descriptors: object) -> None:
        """Nothing."""


def test_when_they_are_not_what_was_declared(loans: Loans) -> None:
    store = MemoryStore()
    store.put("recordings", "a", b"other bytes", "audio/wav")
    event: RecordingEvent = JsonEvents(resolved=[1]).decode(encode_event(object_key="a"))
    event = event._replace(content_sha256="0" * 64)
    calls: PooledCalls[str, Any] = PooledCalls(AtOnce(), Activity.FETCH, Deaf())
    calls.submit("a", lambda: fetch_content(store, event, 100))
    ((_, answer),) = calls.take()
    assert "the event declares sha256" in str(answer)
    assert loans.size == 11  # the error knows where it was raised
    del answer
    assert loans.size == 0
