"""A record that is taken alone, after crashes, and a store that is down: what it waits for is not its fault."""

import pytest

from streamproc.errors import Cause
from streamproc.records.mark import read_mark
from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.settings import FlowSettings, Settings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness

IN = "audio.recordings"


def owner(last: WorkerHarness | None = None) -> WorkerHarness:
    """Who takes the first record of partition 0 alone, from a store that is down; and what a last one left."""
    worker = WorkerHarness(Settings(flow=FlowSettings(micro_batch_records=2)))
    worker.sink.commit([], [CommitOffset(IN, 0, 0, "sp1 open=10 crashes=1 strikes=0")], None)
    if last is not None:
        worker.sink._committed = dict(last.sink._committed)
    worker.assign(0, 1)
    worker.store.down = Cause.CONNECTION
    poll(worker, "a")
    worker.settle()
    return worker


def poll(worker: WorkerHarness, *names: str, partition: int = 0) -> None:
    for name in names:
        worker.store.down, down = None, worker.store.down
        worker.store.put("recordings", name, recording(1000, name=name), "audio/wav")
        worker.store.down = down
        worker.poll(worker.record(encode_event(event_id=name, object_key=name), partition))


def strikes(worker: WorkerHarness) -> int:
    committed = worker.sink.committed(IN, 0)
    assert committed is not None
    return read_mark(committed.metadata).strikes


def done(worker: WorkerHarness) -> list[object]:
    return [row["event_id"] for row in worker.results()]


@pytest.fixture
def worker() -> WorkerHarness:
    return owner()


def test_whoever_ends_while_it_waits_gives_it_no_strike(worker: WorkerHarness) -> None:
    for _ in range(5):
        assert worker.pipeline.store_down
        assert strikes(worker) == 0
        worker = owner(worker)
    worker.store.down = None
    worker.settle(60)
    assert done(worker) == ["a"]


def test_others_go_on_meanwhile_and_rest_when_it_is_tried(worker: WorkerHarness) -> None:
    poll(worker, "b", "c", partition=1)
    worker.settle()
    worker.fetches.at_once, worker.store.down = False, None
    worker.settle(60)
    assert [admitted.event.object_key for admitted, _ in worker.fetches.waiting] == ["b", "c"]
    while worker.fetches.waiting:
        assert strikes(worker) == 0
        worker.fetches.run(0)
        worker.settle()
        if strikes(worker):
            break
    assert [admitted.event.object_key for admitted, _ in worker.fetches.waiting] == ["a"]
    poll(worker, "d", partition=1)
    worker.settle()
    assert len(worker.fetches.waiting) == 1
    worker.fetches.at_once = True
    worker.fetches.run(0)
    worker.settle()
    assert done(worker) == ["a", "b", "c", "d"]
    assert strikes(worker) == 0


def test_a_store_that_is_down_again_lets_it_rest_again(worker: WorkerHarness) -> None:
    poll(worker, "b", partition=1)
    worker.settle()
    worker.fetches.at_once, worker.store.down = False, None
    worker.settle(60)  # its turn has come, and b is fetched still
    worker.store.down = Cause.CONNECTION
    worker.fetches.run(0)
    worker.settle()
    assert worker.pipeline.store_down
    poll(worker, "c", partition=1)
    worker.settle()
    assert worker.pipeline.in_flight["records"] == 3, "who rests lets others be taken"
    worker.fetches.at_once, worker.store.down = True, None
    worker.settle(60)
    assert done(worker) == ["a", "b", "c"]


def test_it_may_go_to_another_owner_while_it_rests(worker: WorkerHarness) -> None:
    worker.pipeline.revoke([TopicPartition(IN, 0)])
    worker.settle()
    assert worker.pipeline.settled([TopicPartition(IN, 0)])
    worker.pipeline.lose([TopicPartition(IN, 0)])
    worker.store.down = None
    poll(worker, "b", partition=1)
    worker.settle(60)
    assert done(worker) == ["b"]
