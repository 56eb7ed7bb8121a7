"""What a worker does when too much of what it takes becomes dead letters."""

from itertools import pairwise

import numpy as np
import pytest
from structlog.testing import capture_logs

from streamproc.errors import Cause, DependencyDownError, FatalError, Reason, StoreError
from streamproc.records.mark import read_mark
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.records.stored import StoredObject
from streamproc.settings import BrakeSettings, FlowSettings, Settings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness

IN = "audio.recordings"
DEAD = "audio.recordings.dlq"
SOON = "audio.recordings.retry.10s"
LATER = "audio.recordings.retry.5m"
MOST_IN_FLIGHT = 2 * 4
"""Micro-batches of so many records."""
BAD = b"no avro"


@pytest.fixture
def worker() -> WorkerHarness:
    settings = Settings(
        brake=BrakeSettings(window=20, ratio=0.5, in_a_row=5), flow=FlowSettings(micro_batch_records=4, micro_batches=2)
    )
    harness = WorkerHarness(settings)
    harness.assign(0, 1)
    return harness


def good(worker: WorkerHarness, key: str) -> bytes:
    worker.store.put("recordings", key, recording(1000, name=key), "audio/wav")
    return encode_event(event_id=key, object_key=key)


def poison(worker: WorkerHarness, count: int, partition: int = 0) -> list[Record]:
    """Poll so many records that become dead letters."""
    records = [worker.record(BAD, partition) for _ in range(count)]
    worker.poll(*records)
    worker.settle()
    return records


def dead(worker: WorkerHarness) -> int:
    return len(worker.sink.values(DEAD))


def wait(worker: WorkerHarness, seconds: int) -> None:
    for _ in range(seconds):
        worker.settle(1)


def on(worker: WorkerHarness) -> bool:
    assert worker.pipeline.held is worker.pipeline.brake()["on"]
    assert worker.metrics.registry.get_sample_value("streamproc_brake_on") == worker.pipeline.held
    return worker.pipeline.held


def test_a_row_of_dead_letters_turns_it_on_and_no_more_is_taken(worker: WorkerHarness) -> None:
    poison(worker, 100)
    assert on(worker)
    assert not worker.pipeline.room
    assert 5 <= dead(worker) <= 5 + MOST_IN_FLIGHT
    assert worker.position(0) == dead(worker)
    worker.settle(3600)
    assert worker.position(0) == dead(worker) <= 5 + MOST_IN_FLIGHT


def test_a_ratio_of_dead_letters_turns_it_on_once_the_window_is_full(worker: WorkerHarness) -> None:
    for number in range(6):
        poison(worker, 2)
        worker.poll(worker.record(good(worker, f"{number}.wav")))
        worker.settle()
        assert not on(worker)
    poison(worker, 2)
    assert on(worker)
    assert worker.pipeline.brake()["why"] == "14 of the last 20 records became dead letters"
    assert worker.pipeline.brake()["reasons"] == {"avro_invalid": 14}


def test_it_says_once_that_it_is_on_and_once_that_it_is_off(worker: WorkerHarness) -> None:
    with capture_logs() as lines:
        poison(worker, 8)
        worker.settle(60)
        worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
        worker.settle(60)
    said = [line for line in lines if "brake is" in line["event"]]
    assert [line["event"] for line in said] == ["brake is on: no more records are taken", "brake is off"]
    assert [line["detail"] for line in said] == [
        "5 records in a row became dead letters",
        "the newest 1 records are well",
    ]
    assert [line.get("reasons") for line in said] == [{"avro_invalid": 5}, None]


def test_when_the_newest_record_is_well_it_goes_on_and_each_offset_ends_once(worker: WorkerHarness) -> None:
    poison(worker, 30)
    last = worker.record(good(worker, "good.wav"))
    worker.poll(last)
    worker.newest.records = [last]
    wait(worker, 60)
    assert not on(worker)
    assert [row["event_id"] for row in worker.results()] == ["good.wav"]
    assert dead(worker) == 30
    assert worker.position(0) == 31
    assert worker.arena.free == worker.arena.slots
    assert worker.pipeline.in_flight == {"micro_batches": 0, "records": 0, "bytes": 0, "audio_ms": 0}


def test_a_probe_leaves_nothing_behind_and_is_counted_nowhere(worker: WorkerHarness) -> None:
    poison(worker, 5)
    transactions, letters = len(worker.sink.transactions), counted(worker)
    worker.newest.records = [worker.record(BAD, 1), worker.record(BAD, 0)]
    with capture_logs() as lines:
        worker.settle(10)
    assert on(worker)
    assert worker.newest.asked > 1
    assert (len(worker.sink.transactions), counted(worker)) == (transactions, letters)
    said = [line for line in lines if line["log_level"] != "debug"]
    assert {line["event"] for line in said} == {"brake stays on: newest records are not well"}
    assert {(line["count"], line["records"]) for line in said} == {(2, 2)}
    assert worker.metrics.registry.get_sample_value("streamproc_brake_probes_total") == len(said)


def counted(worker: WorkerHarness) -> float | None:
    return worker.metrics.registry.get_sample_value("streamproc_dead_letters_total", {"reason": Reason.AVRO_INVALID})


def test_the_record_of_a_probe_is_done_in_its_turn_as_if_it_had_not_been_tried(worker: WorkerHarness) -> None:
    poison(worker, 5)
    fresh = worker.record(good(worker, "good.wav"), 1)
    worker.newest.records = [fresh]
    worker.settle(1)
    assert not on(worker)
    assert (worker.results(), worker.position(1)) == ([], None)
    worker.poll(fresh)
    worker.settle()
    [row] = worker.results()
    assert (row["event_id"], row["attempts"], row["tier"]) == ("good.wav", 1, "memory")
    assert worker.position(1) == 1


def test_probes_come_after_pauses_that_grow(worker: WorkerHarness) -> None:
    worker.newest.records = [worker.record(BAD, 1)]
    poison(worker, 5)
    times = []
    for second in range(200):
        before = worker.newest.asked
        worker.settle(1)
        times += [second] * (worker.newest.asked - before)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == [2, 4, 8, 16, 30, 30, 30, 30, 30]


def test_releases_that_lead_to_no_results_come_ever_more_slowly(worker: WorkerHarness) -> None:
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    poison(worker, 2000)
    times = []
    for second in range(130):
        before = worker.pipeline.brake()["times"]
        worker.settle(1)
        times += [second] * (worker.pipeline.brake()["times"] != before)
    # The first two were while the records came: the first release comes at once.
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == [2, 4, 8, 16, 30, 30, 30]
    assert dead(worker) <= (len(times) + 2) * (5 + MOST_IN_FLIGHT)


def test_after_a_window_of_results_it_is_probed_at_once_again(worker: WorkerHarness) -> None:
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    poison(worker, 20)
    wait(worker, 60)
    assert not on(worker)
    for count, asked in ((19, 0), (20, 1)):
        worker.poll(*[worker.record(good(worker, "good.wav")) for _ in range(count)])
        worker.settle()
        before = worker.newest.asked
        poison(worker, 5)
        assert worker.newest.asked == before + asked
        wait(worker, 60)
        assert not on(worker)


def crash(worker: WorkerHarness, partition: int) -> None:
    """Let the owner that comes find that the last one ended with records in flight."""
    worker.sink.commit([], [CommitOffset(IN, partition, 0, "sp1 open=10 crashes=0 strikes=0")], None)


def test_who_follows_an_owner_that_may_have_died_of_a_probe_waits_longest_before_the_first(
    worker: WorkerHarness,
) -> None:
    crash(worker, 2)
    worker.assign(2)
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    poison(worker, 5)
    worker.settle(29)
    assert (on(worker), worker.newest.asked) == (True, 0)
    worker.settle(2)
    assert (on(worker), worker.newest.asked) == (False, 1)


def test_a_window_of_results_ends_the_doubt(worker: WorkerHarness) -> None:
    crash(worker, 2)
    worker.assign(2)
    worker.poll(*[worker.record(good(worker, "good.wav")) for _ in range(20)])
    worker.settle()
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    poison(worker, 5)
    assert worker.newest.asked == 1


def test_an_answer_from_before_a_release_begins_no_probe_while_something_is_in_flight(worker: WorkerHarness) -> None:
    worker.newest_reads.at_once = False
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    poison(worker, 5)
    assert len(worker.newest_reads.waiting) == 1
    worker.pipeline.release()
    worker.decoders.held = True
    worker.poll(worker.record(good(worker, "slow.wav"), 1), *[worker.record(BAD) for _ in range(5)])
    worker.settle()
    assert on(worker)
    before = worker.pipeline.in_flight["micro_batches"]
    worker.newest_reads.run()
    worker.settle()
    assert worker.pipeline.in_flight["micro_batches"] == before
    worker.decoders.held = False
    worker.newest_reads.at_once = True
    worker.settle(30)
    assert not on(worker)


def test_one_bad_record_among_the_newest_keeps_it_on(worker: WorkerHarness) -> None:
    poison(worker, 5)
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1), worker.record(BAD, 0)]
    worker.settle(0.5)
    assert on(worker)


def test_what_fails_for_now_is_no_success(worker: WorkerHarness) -> None:
    poison(worker, 5)
    worker.newest.records = [worker.record(encode_event(object_key="not/yet.wav"), 1)]
    worker.settle(0.5)
    assert on(worker)
    assert worker.sink.values(SOON) == []


def test_a_fresh_good_record_releases_it_whatever_is_at_the_end_elsewhere(worker: WorkerHarness) -> None:
    old = poison(worker, 5)[-1]
    worker.newest.records = [old]
    worker.settle(1)
    assert on(worker)
    worker.newest.records = [old, worker.record(good(worker, "good.wav"), 1)]
    worker.settle(30)
    assert not on(worker)


def test_a_broker_that_is_away_is_asked_again(worker: WorkerHarness) -> None:
    worker.newest.error = DependencyDownError("kafka", "gone")
    poison(worker, 5)
    worker.settle(1)
    assert (on(worker), worker.newest.asked) == (True, 2)
    worker.newest.error, worker.newest.records = None, [worker.record(good(worker, "good.wav"))]
    worker.settle(30)
    assert not on(worker)


def test_a_reader_that_fails_in_an_unforeseen_way_ends_the_process(worker: WorkerHarness) -> None:
    worker.newest.error = KeyError("mine")
    with pytest.raises(FatalError, match="newest"):
        poison(worker, 5)


def test_a_partition_that_goes_while_it_is_probed_is_no_success(worker: WorkerHarness) -> None:
    poison(worker, 5)
    worker.decoders.held = True
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    worker.settle(1)
    gone = [TopicPartition(IN, 1)]
    worker.pipeline.revoke(gone)
    assert worker.pipeline.settled(gone)
    worker.ownership.drop(gone)
    worker.pipeline.lose(gone)
    worker.decoders.held = False
    worker.settle()
    assert on(worker)
    worker.newest.records = [worker.record(good(worker, "else.wav"))]
    worker.settle(30)
    assert not on(worker)


def test_whoever_owns_only_lanes_probes_the_whole_input(worker: WorkerHarness) -> None:
    poison(worker, 5)
    worker.ownership.drop([TopicPartition(IN, 0), TopicPartition(IN, 1)])
    worker.assign(0, topic=SOON)
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    worker.settle(1)
    assert not on(worker)


def test_records_of_lanes_are_not_admitted_either(worker: WorkerHarness) -> None:
    worker.assign(0, topic=SOON)
    poison(worker, 5)
    waits = worker.record(BAD, topic=SOON)
    worker.poll(waits)
    worker.settle(3600)
    assert worker.position(0, SOON) is None
    worker.pipeline.release()
    worker.settle()
    assert worker.position(0, SOON) == 1


def test_a_probe_waits_until_what_was_in_flight_has_ended(worker: WorkerHarness) -> None:
    worker.decoders.held = True
    worker.poll(worker.record(good(worker, "slow.wav"), 1), *[worker.record(BAD) for _ in range(5)])
    worker.settle()
    assert on(worker)
    worker.settle(60)
    assert worker.newest.asked == 0
    worker.decoders.held = False
    worker.settle()
    assert worker.newest.asked == 1


def test_a_command_releases_it_at_once_and_it_counts_from_nothing(worker: WorkerHarness) -> None:
    poison(worker, 20)
    before = dead(worker)
    with capture_logs() as lines:
        worker.pipeline.release()
        worker.settle()
    assert "released by command" in [line.get("detail") for line in lines]
    assert on(worker)
    assert worker.pipeline.brake()["times"] == 2
    assert before + 5 <= dead(worker) <= before + 5 + MOST_IN_FLIGHT


def test_a_worker_that_stops_probes_no_more_and_leaves_what_it_has_not_admitted(worker: WorkerHarness) -> None:
    poison(worker, 40)
    position = worker.position(0)
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    worker.pipeline.drain()
    worker.settle(60)
    assert worker.pipeline.idle
    assert (on(worker), worker.position(0)) == (True, position)


def test_a_store_that_is_away_is_waited_for_in_a_probe_too(worker: WorkerHarness) -> None:
    poison(worker, 5)
    worker.newest.records = [worker.record(good(worker, "good.wav"), 1)]
    worker.store.down = Cause.CONNECTION
    worker.settle(60)
    assert on(worker)
    worker.store.down = None
    worker.settle(60)
    assert not on(worker)


def test_what_is_known_already_says_nothing_of_a_network_that_fails(worker: WorkerHarness) -> None:
    worker.poll(worker.record(good(worker, "known.wav")))
    worker.settle()
    assert len(worker.results()) == 1
    heads = [good(worker, f"{number}.wav") for number in range(40)]
    records = [worker.record(event) for event in heads]
    last = worker.record(good(worker, "known.wav"))
    worker.newest.records = [last]
    worker.device.poisoned.update(
        float(number / np.float32(255)) for number in range(256)
    )  # every first sample that there is
    worker.poll(*records, last)
    for _ in range(60):
        worker.settle(1)
    assert worker.pipeline.held
    assert len(worker.sink.values(DEAD)) <= 5 + MOST_IN_FLIGHT


def test_a_probe_stores_what_a_row_would_point_to(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    put = worker.store.put

    def refuse(bucket: str, key: str, body: bytes, content_type: str) -> StoredObject:
        if key.endswith("timeline.json"):
            raise StoreError(Cause.DENIED, "injected")
        return put(bucket, key, body, content_type)

    worker.store.put("recordings", "a.wav", recording(1000, name="a"), "audio/wav")
    event = encode_event(event_id="a", object_key="a.wav", fields={"outputs": ["timeline"]})
    records = [worker.record(event) for _ in range(100)]
    worker.newest.records = records[-1:]
    monkeypatch.setattr(worker.store, "put", refuse)
    worker.poll(*records)
    for _ in range(60):
        worker.settle(1)
    assert worker.pipeline.held
    assert len(worker.sink.values(DEAD)) <= 5 + MOST_IN_FLIGHT
    monkeypatch.undo()
    worker.settle(60)
    assert not worker.pipeline.held


def test_what_the_brake_keeps_waiting_earns_no_strike() -> None:
    # Two owners crashed at the head of partition 1: its records are taken alone. Those of partition 0 are on their way
    # when it is asked about, and turn the brake on.
    brake, flow = BrakeSettings(window=20, ratio=0.5, in_a_row=5), FlowSettings(micro_batch_records=8, micro_batches=2)
    worker = WorkerHarness(Settings(brake=brake, flow=flow))
    worker.sink.commit([], [CommitOffset(IN, 1, 0, "sp1 open=10 crashes=1 strikes=0")], None)
    worker.assign(0, 1)
    worker.fetches.at_once = False
    worker.store.put("recordings", "bad.wav", b"no audio", "audio/wav")
    bad = [worker.record(encode_event(event_id=f"{n}", object_key="bad.wav"), 0) for n in range(6)]
    worker.poll(*bad, worker.record(good(worker, "good.wav"), 1, offset=0))
    worker.settle()
    worker.fetches.at_once = True
    while worker.fetches.waiting:
        worker.fetches.run(0)
        worker.settle()
    assert worker.pipeline.held
    assert not worker.results()
    committed = worker.sink.committed(IN, 1)
    assert committed is not None
    assert read_mark(committed.metadata).strikes == 0
