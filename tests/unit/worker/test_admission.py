"""Admission by deadline: what is in flight ends inside a drain, as far as the device can predict it."""

import pytest

from streamproc.errors import PoisonError, Reason, Stage
from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.settings import FlowSettings, KafkaSettings, Settings
from streamproc.testing.codec import JsonEvents, encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.worker.core.price import Prices
from streamproc.worker.stages.weigh import UNDECLARED, load, share

IN = "audio.recordings"
SOON = "audio.recordings.retry.10s"
AGAIN = (
    ("sp-origin-topic", IN.encode()),
    ("sp-origin-partition", b"0"),
    ("sp-origin-offset", b"7"),
    ("sp-attempts", b"1"),
    ("sp-first-seen-ms", b"0"),
)
"""As a record on a lane has them."""
SETTINGS = Settings(kafka=KafkaSettings(transaction_timeout_s=2), flow=FlowSettings(drain_s=4, micro_batches=2))
"""One second of the device for each micro-batch: 62.5 s of audio, as the fake one takes a microsecond a sample."""


@pytest.fixture
def worker() -> WorkerHarness:
    harness = WorkerHarness(SETTINGS)
    harness.assign(0, 1)
    return harness


def put(worker: WorkerHarness, key: str, seconds: int) -> bytes:
    worker.store.put("recordings", key, recording(1000 * seconds, name=key), "audio/wav")
    return encode_event(event_id=key, object_key=key, fields={"duration_ms": 1000 * seconds})


def poll(worker: WorkerHarness, *seconds: int, partition: int = 0) -> None:
    worker.poll(*[worker.record(put(worker, f"{i}-{s}.wav", s), partition) for i, s in enumerate(seconds)])


def committed(worker: WorkerHarness) -> list[int]:
    """Records of each transaction."""
    topic = worker.settings.topics.results
    return [sum(output.topic == topic for output in one.outputs) for one in worker.sink.transactions]


def test_a_micro_batch_ends_before_its_share_of_a_drain_does(worker: WorkerHarness) -> None:
    poll(worker, 25, 25, 25, 25, 12, 12, 12, 12, 13)
    worker.settle()
    assert committed(worker) == [2, 3, 4]
    assert worker.position() == 9


def test_a_recording_over_the_budget_is_alone(worker: WorkerHarness) -> None:
    poll(worker, 1, 300, 1, 1)
    worker.settle()
    assert committed(worker) == [1, 1, 2]


def test_of_one_poll_no_more_is_in_flight_than_a_drain_can_end(worker: WorkerHarness) -> None:
    worker.device.held = True
    poll(worker, *[25] * 9)
    worker.settle()
    assert worker.pipeline.in_flight["micro_batches"] == 2
    assert worker.pipeline.in_flight["records"] == 4
    assert not worker.pipeline.room
    worker.device.held = False
    worker.settle()
    assert worker.position() == 9
    assert worker.pipeline.room


def test_a_drain_leaves_what_waits_to_the_next_owner(worker: WorkerHarness) -> None:
    worker.device.held = True
    poll(worker, *[25] * 9)
    worker.settle()
    worker.pipeline.drain()
    poll(worker, 1, partition=1)
    worker.device.held = False
    worker.settle()
    assert worker.pipeline.idle
    assert (worker.position(0), worker.position(1)) == (4, None)
    assert len(worker.results()) == 4


@pytest.mark.parametrize(("way", "position"), [("revoke", 2), ("lose", None)])
def test_what_waits_of_a_partition_that_goes_is_not_begun(
    worker: WorkerHarness, way: str, position: int | None
) -> None:
    worker.device.held = True
    poll(worker, *[25] * 6)
    poll(worker, 1, 1, partition=1)
    worker.settle()
    gone = TopicPartition(IN, 0)
    if way == "revoke":
        worker.pipeline.revoke([gone])
    else:
        worker.ownership.drop([gone])
        worker.pipeline.lose([gone])
    worker.device.held = False
    worker.settle()
    assert worker.position(1) == 2
    assert worker.position(0) == position  # a revoke commits what the device has
    assert len(worker.decoders.decoded) <= 2 + 4  # of what waited, only the records of the other partition
    assert worker.pipeline.idle


def test_the_time_of_waiting_counts_as_time_in_the_worker(worker: WorkerHarness) -> None:
    worker.device.held = True
    poll(worker, *[25] * 9)
    worker.settle()
    worker.clock.advance(100)
    worker.device.held = False
    worker.settle()
    assert [row["processing_ms"] for row in worker.results()] == [100_000] * 9


def test_the_shares_of_all_micro_batches_leave_a_drain_time_for_a_transaction() -> None:
    for settings in (SETTINGS, Settings()):
        spent_s = settings.flow.micro_batches * share(settings).seconds
        assert spent_s + settings.kafka.transaction_timeout_s == pytest.approx(settings.flow.drain_s)


def test_an_estimate_stands_in_for_what_the_event_does_not_say() -> None:
    prices = Prices(sum_of_samples, lambda _: 1)

    def seconds(**fields: object) -> float:
        return load(JsonEvents(resolved=[1]).decode(encode_event(object_key="a", fields=fields)), prices).seconds

    assert seconds(duration_ms=2_000) == 32_000
    assert seconds(duration_ms=2_000, channels="split") == 64_000
    assert seconds(size_bytes=32_000) == 32_000
    assert seconds() == load(None, prices).seconds == 16 * UNDECLARED.audio_ms
    assert load(PoisonError(Reason.EVENT_INVALID, Stage.ADMIT, "bad"), prices).seconds == 0


def sum_of_samples(lengths: object) -> float:
    assert isinstance(lengths, list)
    return float(sum(lengths))


def test_a_lane_that_is_not_opened_yet_holds_nobody_else_up(worker: WorkerHarness) -> None:
    worker.assign(0, topic=SOON)
    poll(worker, 1)
    worker.settle()  # the input is opened
    worker.commits.at_once = False
    late = worker.record(put(worker, "lane.wav", 1), topic=SOON, headers=AGAIN, age_s=11)
    worker.poll(late, worker.record(put(worker, "input.wav", 1)))
    worker.settle()
    assert worker.store.gets == ["0-1.wav", "input.wav"]
    worker.commits.at_once = True
    worker.settle()
    assert worker.store.gets[2:] == ["lane.wav"]


def test_what_is_taken_alone_goes_behind_what_waits_with_it_and_before_what_comes_later(worker: WorkerHarness) -> None:
    worker.sink.commit([], [CommitOffset(SOON, 0, 0, "sp1 open=10 crashes=1 strikes=0")], None)
    worker.assign(0, topic=SOON)
    lane = [worker.record(put(worker, f"lane{n}.wav", 1), topic=SOON, headers=AGAIN, age_s=11) for n in (1, 2)]
    worker.poll(*lane, *(worker.record(put(worker, f"input{n}.wav", 1)) for n in (1, 2)))
    worker.decoders.held = True
    worker.settle()
    assert worker.store.gets == ["input1.wav", "input2.wav"]
    assert not worker.pipeline.room
    worker.poll(worker.record(put(worker, "later.wav", 1), 1))  # was on its way
    worker.settle()
    worker.decoders.held = False
    worker.settle()
    assert worker.store.gets[2:] == ["lane1.wav", "later.wav", "lane2.wav"]
    assert worker.position(0, SOON) == 2


def test_nobody_else_is_taken_between_a_strike_and_the_record_that_bears_it(worker: WorkerHarness) -> None:
    worker.sink.commit([], [CommitOffset(IN, 1, 0, "sp1 open=10 crashes=1 strikes=0")], None)
    worker.assign(1)
    poll(worker, 1)
    worker.settle()  # the other one is opened
    worker.commits.at_once = False
    worker.poll(worker.record(put(worker, "suspect.wav", 1), 1, offset=0))
    worker.settle()
    assert len(worker.commits.waiting) == 1
    poll(worker, 2)
    worker.settle()
    assert worker.store.gets == ["0-1.wav"]
    worker.commits.run()
    worker.settle()
    assert worker.store.gets == ["0-1.wav", "suspect.wav"]
    worker.commits.at_once = True
    worker.settle()
    assert worker.store.gets == ["0-1.wav", "suspect.wav", "0-2.wav"]
