"""An object that takes too long leaves its micro-batch, and its neighbours go on."""

import threading
from collections.abc import Iterator

import pytest

from streamproc.errors import Cause
from streamproc.records.stored import StoredObject
from streamproc.settings import RetrySettings, Settings, StorageSettings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.testing.store import MemoryStore

SOON = "audio.recordings.retry.10s"
HELD = Settings(storage=StorageSettings(straggler_s=10, slowest_bytes_per_s=1000, object_timeout_s=120))


class StallingStore(MemoryStore):
    """Answers for some keys only once it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.stalled: set[str] = set()
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        if key in self.stalled:
            self.begun.release()
            assert self.go_on.wait(30)
        return super().get(bucket, key, version_id, most)


class Worker(WorkerHarness):
    """Its fetches run when the test says so, those that stall on threads of their own."""

    def __init__(self, settings: Settings = HELD) -> None:
        super().__init__(settings)
        self.store: StallingStore
        self._threads: list[threading.Thread] = []
        self.fetches.at_once = False
        self.assign(0)
        self.assign(0, topic=SOON)

    def announce(self, *keys: str, declared: bool = True) -> None:
        """Poll a record for each object."""
        records = []
        for key in keys:
            body = recording(1000, name=key)
            self.store.put("recordings", key, body, "audio/wav")
            size = {"size_bytes": len(body)} if declared else {}
            records.append(self.record(encode_event(event_id=key, object_key=key, fields=size)))
        self.poll(*records)
        self.fetch()

    def fetch(self) -> None:
        """Run every fetch that waits; one that stalls is begun, and goes on beside."""
        self.settle()
        while self.fetches.waiting:
            key = self.fetches.waiting[0][0].event.object_key
            if key in self.store.stalled:
                self._threads.append(threading.Thread(target=self.fetches.run))
                self._threads[-1].start()
                assert self.store.begun.acquire(timeout=30)
            else:
                self.fetches.run()
            self.settle()

    def arrive(self) -> None:
        """Let everything that stalled come."""
        self.store.stalled.clear()
        self.store.go_on.set()
        for thread in self._threads:
            thread.join(30)
        self.settle()

    def names(self) -> list[object]:
        return [row["event_id"] for row in self.results()]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr("streamproc.testing.harness.MemoryStore", StallingStore)
    worker = Worker()
    yield worker
    worker.arrive()


def test_a_stalled_object_goes_to_a_lane_and_its_neighbours_are_committed(worker: Worker) -> None:
    worker.store.stalled = {"b.wav"}
    worker.announce("a.wav", "b.wav", "c.wav")
    worker.settle(9.9)
    assert worker.results() == []
    worker.settle(0.2)
    assert worker.names() == ["a.wav", "c.wav"]
    [again] = worker.sink.values(SOON)
    headers = dict(again.headers)
    assert (headers["sp-reason"], headers["sp-stage"], headers["sp-attempts"]) == (b"store_unavailable", b"fetch", b"1")
    assert b"b.wav is not here after 10 s" in (headers["sp-message"] or b"")
    assert worker.position() == 3


def test_a_large_object_is_given_the_time_that_its_size_takes(worker: Worker) -> None:
    worker.store.stalled = {"a.wav"}
    body = b" " * 30_000
    worker.store.put("recordings", "a.wav", body, "audio/wav")
    worker.poll(worker.record(encode_event(object_key="a.wav", fields={"size_bytes": len(body)})))
    worker.fetch()
    worker.settle(29.9)
    assert worker.sink.values(SOON) == []
    worker.settle(0.2)
    assert len(worker.sink.values(SOON)) == 1


def test_an_object_of_no_declared_size_may_be_any_and_is_given_all_the_time(worker: Worker) -> None:
    worker.store.stalled = {"a.wav"}
    worker.announce("a.wav", declared=False)
    worker.settle(119)
    assert worker.sink.values(SOON) == []
    worker.arrive()
    assert worker.names() == ["a.wav"]


def test_what_comes_too_late_is_thrown_away_and_holds_its_credit_until_then(worker: Worker) -> None:
    worker.store.stalled = {"a.wav"}
    worker.announce("a.wav")
    worker.settle(11)
    assert worker.pipeline.idle
    assert worker.pipeline.in_flight["bytes"] > 0
    worker.arrive()
    assert worker.pipeline.in_flight == {"micro_batches": 0, "records": 0, "bytes": 0, "audio_ms": 0}
    assert worker.results() == []


def test_one_that_comes_while_it_is_suspected_is_taken(worker: Worker) -> None:
    worker.store.stalled = {"a.wav"}
    worker.probes.at_once = False
    worker.announce("a.wav")
    worker.settle(11)
    worker.arrive()
    worker.probes.at_once = True
    worker.settle()
    assert (worker.names(), worker.sink.values(SOON)) == (["a.wav"], [])


def down(worker: Worker) -> bool:
    return worker.pipeline.store_down


def test_in_an_outage_nobody_is_a_straggler_and_no_attempt_is_spent(worker: Worker) -> None:
    worker.store.stalled = {"a.wav", "b.wav"}
    worker.announce("a.wav", "b.wav", "c.wav")
    worker.store.down = Cause.TIMEOUT
    worker.settle(600)
    assert down(worker)
    assert worker.sink.transactions == []
    worker.store.down = None
    worker.settle(31)
    assert not down(worker)
    worker.arrive()
    worker.fetch()
    assert sorted(map(str, worker.names())) == ["a.wav", "b.wav", "c.wav"]
    assert worker.sink.values(SOON) == []


def test_a_fetch_that_waits_for_a_thread_is_no_straggler(worker: Worker) -> None:
    worker.store.stalled = set()
    worker.store.put("recordings", "a.wav", recording(1000, name="a.wav"), "audio/wav")
    worker.poll(worker.record(encode_event(event_id="a.wav", object_key="a.wav", fields={"size_bytes": 10**4})))
    worker.settle(60)
    assert worker.sink.values(SOON) == []


def test_a_straggler_comes_again_by_its_lane(worker: Worker) -> None:
    worker.store.stalled = {"a.wav"}
    worker.announce("a.wav")
    worker.settle(11)
    [again] = worker.sink.values(SOON)
    worker.arrive()
    worker.poll(worker.record(again.value, topic=SOON, headers=again.headers))
    worker.settle(10)
    worker.fetch()
    [row] = worker.results()
    assert (row["event_id"], row["attempts"]) == ("a.wav", 2)


def test_in_strict_order_there_is_none_since_what_is_behind_would_wait_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamproc.testing.harness.MemoryStore", StallingStore)
    worker = Worker(HELD.model_copy(update={"retry": RetrySettings(order="strict")}))
    worker.store.stalled = {"a.wav"}
    worker.announce("a.wav", "b.wav")
    worker.settle(600)
    assert worker.sink.transactions == []
    worker.arrive()
    assert [(row["event_id"], row["attempts"]) for row in worker.results()] == [("a.wav", 1), ("b.wav", 1)]


def test_a_partition_that_goes_takes_a_straggler_along(worker: Worker) -> None:
    worker.store.stalled = {"a.wav"}
    worker.announce("a.wav")
    gone = list(worker.ownership.partitions())
    worker.pipeline.lose(gone)
    worker.ownership.drop(gone)
    worker.settle(11)
    worker.arrive()
    assert worker.sink.transactions == []
    assert worker.pipeline.in_flight["bytes"] == 0
