"""Strict order: what fails for now is tried again in place."""

import pytest
from structlog.testing import capture_logs

from streamproc.errors import Cause
from streamproc.records.mark import read_mark
from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.settings import FlowSettings, RetrySettings, Settings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness

IN = "audio.recordings"
DEAD = "audio.recordings.dlq"
SOON = "audio.recordings.retry.10s"
LATER = "audio.recordings.retry.5m"
WAITS_S = (10, 20, 40, 80, 160, 300)
"""Doubled from the first delay, the second at most; as many as both lanes give."""


@pytest.fixture
def worker() -> WorkerHarness:
    harness = WorkerHarness(Settings(retry=RetrySettings(order="strict"), flow=FlowSettings(micro_batch_records=2)))
    harness.assign(0, 1)
    harness.assign(0, topic=SOON)
    return harness


def put(worker: WorkerHarness, key: str) -> bytes:
    worker.store.put("recordings", key, recording(1000, name=key), "audio/wav")
    return encode_event(event_id=key, object_key=key)


def names(worker: WorkerHarness) -> list[object]:
    return [row["event_id"] for row in worker.results()]


def test_what_is_behind_waits_and_comes_out_in_the_order_of_the_input(worker: WorkerHarness) -> None:
    worker.store.failing = {"a.wav": Cause.SERVER_ERROR}
    worker.poll(*(worker.record(put(worker, f"{name}.wav")) for name in "abcd"))
    worker.settle()
    assert (worker.sink.transactions, worker.position()) == ([], None)
    worker.settle(10)
    assert worker.store.gets.count("a.wav") == 2
    worker.store.failing = {}
    worker.settle(19.9)
    assert worker.results() == []
    worker.settle(0.1)
    assert names(worker) == ["a.wav", "b.wav", "c.wav", "d.wav"]
    assert [row["attempts"] for row in worker.results()] == [3, 1, 1, 1]
    assert worker.sink.values(SOON) == worker.sink.values(LATER) == []
    assert worker.arena.free == worker.arena.slots
    assert worker.pipeline.in_flight == {"micro_batches": 0, "records": 0, "bytes": 0, "audio_ms": 0}


def test_waits_grow_and_come_to_an_end_as_a_dead_letter(worker: WorkerHarness) -> None:
    worker.store.failing = {"a.wav": Cause.SERVER_ERROR}
    worker.poll(worker.record(put(worker, "a.wav")), worker.record(put(worker, "b.wav")))
    worker.settle()
    for tries, wait_s in enumerate(WAITS_S, 1):
        worker.settle(wait_s - 0.1)
        assert worker.store.gets.count("a.wav") == tries
        assert worker.sink.transactions == []
        worker.settle(0.1)
    [dead] = worker.sink.values(DEAD)
    headers = dict(dead.headers)
    assert (headers["sp-reason"], headers["sp-attempts"]) == (b"retries_exhausted", b"7")
    assert names(worker) == ["b.wav"]
    assert worker.position() == 2


def test_each_wait_of_a_record_is_told_once_with_its_reason(worker: WorkerHarness) -> None:
    worker.store.failing = {"a.wav": Cause.SERVER_ERROR}
    with capture_logs() as lines:
        worker.poll(worker.record(put(worker, "a.wav")))
        worker.settle()
        worker.settle(10)
    told = [line for line in lines if line["event"] == "record waits in place to be tried again"]
    assert [(line["log_level"], line["offset"], line["attempt"], line["reason"]) for line in told] == [
        ("info", 0, 1, "store_unavailable"),
        ("info", 0, 2, "store_unavailable"),
    ]


def test_others_in_flight_are_computed_meanwhile_and_commit_behind_it(worker: WorkerHarness) -> None:
    worker.store.failing = {"a.wav": Cause.SERVER_ERROR}
    worker.poll(worker.record(put(worker, "a.wav")), worker.record(put(worker, "b.wav")))
    worker.poll(worker.record(put(worker, "c.wav"), 1))
    worker.settle()
    assert len(worker.decoders.decoded) == 2
    assert worker.position(1) is None
    worker.store.failing = {}
    worker.settle(10)
    assert worker.position(1) == 1


def test_an_object_that_is_not_there_yet_is_waited_for_while_it_is_young(worker: WorkerHarness) -> None:
    worker.poll(worker.record(encode_event(event_id="late", object_key="late.wav")))
    worker.settle(9)
    worker.store.put("recordings", "late.wav", recording(1000), "audio/wav")
    worker.settle(1)
    assert [(row["event_id"], row["attempts"]) for row in worker.results()] == [("late", 2)]


def test_a_partition_that_goes_takes_what_waits_along(worker: WorkerHarness) -> None:
    worker.store.failing = {"a.wav": Cause.SERVER_ERROR}
    worker.poll(worker.record(put(worker, "a.wav")), worker.record(put(worker, "b.wav"), 1))
    worker.settle()
    gone = [TopicPartition(IN, 0)]
    worker.pipeline.revoke(gone)
    worker.settle()
    assert worker.pipeline.settled(gone)
    worker.ownership.drop(gone)
    worker.pipeline.lose(gone)
    worker.settle(10)
    assert worker.store.gets.count("a.wav") == 1
    assert names(worker) == ["b.wav"]
    assert not worker.position(0)
    assert worker.position(1) == 1


def test_what_stands_on_a_lane_from_before_is_worked_off_with_its_attempts(worker: WorkerHarness) -> None:
    before = WorkerHarness()
    before.assign(0)
    before.store.failing = {"a.wav": Cause.SERVER_ERROR}
    before.poll(before.record(encode_event(event_id="a.wav", object_key="a.wav")))
    before.settle()
    [moved] = before.sink.values(SOON)
    worker.store.failing = {"a.wav": Cause.SERVER_ERROR}
    put(worker, "a.wav")
    worker.poll(worker.record(moved.value, topic=SOON, headers=moved.headers))
    worker.settle(10)
    worker.store.failing = {}
    worker.settle(20)
    assert [(row["event_id"], row["attempts"]) for row in worker.results()] == [("a.wav", 3)]
    assert worker.position(0, SOON) == 1


def strikes(worker: WorkerHarness) -> int:
    committed = worker.sink.committed(IN, 0)
    assert committed is not None
    return read_mark(committed.metadata).strikes


def test_one_that_is_taken_alone_bears_no_strike_while_it_waits_and_others_are_computed() -> None:
    worker = WorkerHarness(Settings(retry=RetrySettings(order="strict"), flow=FlowSettings(micro_batch_records=2)))
    worker.sink.commit([], [CommitOffset(IN, 0, 0, "sp1 open=10 crashes=1 strikes=0")], None)
    worker.assign(0, 1)
    worker.store.failing = {"a.wav": Cause.SERVER_ERROR}
    worker.fetches.at_once = False
    worker.poll(worker.record(put(worker, "a.wav"), offset=0))
    worker.settle()
    worker.poll(*(worker.record(put(worker, name), 1) for name in "bc"))
    worker.settle()
    assert (strikes(worker), len(worker.fetches.waiting)) == (1, 1)
    worker.fetches.at_once = True
    worker.settle()
    assert strikes(worker) == 0
    assert worker.store.gets == ["a.wav", "b", "c"]
    worker.fetches.at_once = False
    worker.settle(10)
    assert (strikes(worker), len(worker.fetches.waiting)) == (1, 1)
    worker.fetches.at_once, worker.store.failing = True, {}
    worker.settle()
    assert names(worker) == ["a.wav", "b", "c"]
    assert strikes(worker) == 0


def test_one_that_waited_alone_is_tried_when_others_have_come_to_rest() -> None:
    worker = WorkerHarness(Settings(retry=RetrySettings(order="strict"), flow=FlowSettings(micro_batch_records=2)))
    worker.sink.commit([], [CommitOffset(IN, 0, 0, "sp1 open=10 crashes=1 strikes=0")], None)
    worker.assign(0, 1)
    worker.store.failing = {"a.wav": Cause.SERVER_ERROR}
    worker.poll(worker.record(put(worker, "a.wav"), offset=0))
    worker.settle()
    worker.decoders.held = True
    worker.poll(worker.record(put(worker, "slow"), 1))
    worker.settle(60)
    assert worker.store.gets.count("a.wav") == 1
    worker.decoders.held = False
    worker.settle()
    assert worker.store.gets.count("a.wav") == 2
