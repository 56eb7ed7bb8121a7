"""What a worker shows of its lag, its backlog and its speed."""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from streamproc.errors import Cause, DependencyDownError, FatalError
from streamproc.records.record import TopicPartition
from streamproc.settings import BrakeSettings, Settings
from streamproc.testing.calls import ManualCalls
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.device import IDENTITY
from streamproc.testing.harness import WorkerHarness
from streamproc.worker.pipeline import Pipeline
from streamproc.worker.progress import ENDS_S, SILENCES

IN = "audio.recordings"


class World:
    """Satisfies ``worker.ports.Ends``, beside a worker."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.ends = {TopicPartition(IN, 0): 0, TopicPartition(IN, 1): 0}
        self.away = False
        self.asked = 0
        self.worker = worker = WorkerHarness(settings)
        calls: ManualCalls[str, Mapping[TopicPartition, int]] = ManualCalls()
        world = replace(worker.world, ends=self, ends_reads=calls)
        worker.pipeline = Pipeline(worker.settings, world, IDENTITY, "0", worker.ownership, worker.metrics)
        worker.metrics.refresh.add(worker.pipeline.show)
        worker.assign(0, 1)

    def read(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.asked += 1
        if self.away:
            raise DependencyDownError("kafka", "away")
        return {place: end for place, end in self.ends.items() if place in partitions}

    def ask(self) -> None:
        """Let the loop ask for the ends and hear the answer."""
        for _ in range(2):
            self.worker.pipeline.progress.step(self.worker.pipeline.now())

    def handle(self, *keys: str, seconds: float = 2, took_s: float = 1) -> None:
        records = []
        for key in keys:
            self.worker.store.put("recordings", key, recording(round(1000 * seconds), name=key), "audio/wav")
            records.append(self.worker.record(encode_event(object_key=key, event_id=key), age_s=5))
        self.worker.poll(*records)
        self.worker.clock.advance(took_s)
        self.worker.settle()

    def shown(self, name: str, **labels: str) -> float:
        self.worker.metrics.refresh.collect()
        value = self.worker.metrics.registry.get_sample_value(f"streamproc_{name}", labels)
        assert value is not None
        return value


@pytest.fixture
def world() -> World:
    return World()


def test_lag_is_what_is_not_committed(world: World) -> None:
    world.ends[TopicPartition(IN, 0)] = 10
    world.ends[TopicPartition(IN, 1)] = 3
    world.handle("a", "b")
    world.ask()
    assert world.shown("lag_records", topic="recordings") == 11
    assert world.shown("lag_seconds", topic="recordings") == pytest.approx(6)
    assert world.shown("lag_records", topic="soon") == 0


def test_a_backlog_is_told_in_audio_and_in_the_time_to_drain_it(world: World) -> None:
    assert math.isnan(world.shown("drain_seconds"))
    world.ends[TopicPartition(IN, 0)] = 12
    world.handle("a", "b", seconds=3, took_s=2)
    world.ask()
    assert world.shown("speed_ratio") == pytest.approx(3)  # six seconds of audio in two
    assert world.shown("backlog_audio_seconds") == pytest.approx(30)  # ten records as long as these
    assert world.shown("drain_seconds") == pytest.approx(10)
    assert world.shown("audio_seconds_total") == 6


def test_ends_are_asked_for_now_and_then_and_a_broker_that_is_away_changes_nothing(world: World) -> None:
    world.ends[TopicPartition(IN, 0)] = 1
    world.ask()
    world.ask()
    assert world.asked == 1
    world.away = True
    with capture_logs() as said:
        for _ in range(2):
            world.worker.clock.advance(ENDS_S)
            world.ask()
    assert world.asked == 3
    assert [line["event"] for line in said] == ["the lag is not known"]
    assert world.shown("lag_records", topic="recordings") == 1


def test_a_broker_that_answered_before_is_away_when_it_does_not_twice(world: World) -> None:
    progress = world.worker.pipeline.progress

    def after(*answers: bool) -> bool:
        for answer in answers:
            world.away = not answer
            world.worker.clock.advance(ENDS_S)
            world.ask()
        return progress.silent

    assert not after(False, False, False)  # it may be one that never answers such questions
    assert not after(True, False)
    assert after(False)
    assert not after(True)
    assert after(False, False)
    world.worker.pipeline.lose([TopicPartition(IN, 0)])
    assert progress.silent


def test_a_broker_that_gives_records_and_takes_commits_is_there(world: World) -> None:
    progress = world.worker.pipeline.progress
    world.ask()
    world.away = True
    for _ in range(SILENCES):
        world.worker.clock.advance(ENDS_S)
        world.ask()
    assert progress.silent
    world.handle("a")
    assert not progress.silent


def test_a_partition_that_is_gone_is_no_lag_of_ours(world: World) -> None:
    world.ends[TopicPartition(IN, 0)] = 1
    world.ask()
    world.worker.pipeline.lose([TopicPartition(IN, 0)])
    assert world.shown("lag_records", topic="recordings") == 0


def test_a_response_lasts_from_the_first_timestamp_to_the_commit_and_a_retry_is_none(world: World) -> None:
    world.handle("a")
    assert world.shown("response_seconds_sum") == pytest.approx(6)
    world.worker.store.failing["b"] = Cause.SHORT_BODY
    world.handle("b")
    assert world.shown("response_seconds_count") == 1
    assert world.shown("retries_total", lane="soon") == 1
    assert world.shown("retries_total", lane="later") == 0


def test_the_oldest_record_in_flight_is_as_old_as_its_poll(world: World) -> None:
    world.worker.device.held = True
    world.handle("a")
    world.worker.clock.advance(4)
    assert world.shown("oldest_in_flight_seconds") == pytest.approx(5)
    assert world.shown("in_flight_records") == 1
    world.worker.device.held = False
    world.worker.settle()
    assert world.shown("oldest_in_flight_seconds") == 0


def test_nothing_can_move_while_nothing_is_there_or_the_brake_holds_it() -> None:
    world = World(Settings(brake=BrakeSettings(window=20, ratio=0.5, in_a_row=5)))
    pipeline = world.worker.pipeline
    before = pipeline.moves
    assert before is None
    world.worker.poll(*(world.worker.record(b"no avro") for _ in range(5)))
    waits = pipeline.moves
    assert waits is not None
    world.worker.settle()
    world.worker.poll(world.worker.record(b"no avro"))
    world.worker.settle()
    assert pipeline.held
    assert (pipeline.idle, pipeline.moves) == (False, None)


def test_what_moves_is_counted(world: World) -> None:
    world.worker.device.held = True
    world.handle("a")
    still = world.worker.pipeline.moves
    world.worker.settle()
    assert world.worker.pipeline.moves == still
    world.worker.device.held = False
    world.worker.pipeline.step()
    assert world.worker.pipeline.moves != still


def test_a_store_that_is_away_is_asked_again_and_again_which_is_no_standing_still(world: World) -> None:
    world.handle("a")
    world.worker.store.put("recordings", "b", recording(1000, name="b"), "audio/wav")
    world.worker.store.down = Cause.CONNECTION
    world.worker.poll(world.worker.record(encode_event(object_key="b", event_id="b")))
    world.worker.settle(60)
    assert world.worker.pipeline.store_down
    seen = set[int | None]()
    for _ in range(5):
        world.worker.settle(60)
        seen.add(world.worker.pipeline.moves)
    assert len(seen) == 5


def test_whatever_the_question_for_the_ends_raises_records_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        raise FatalError("not authorised")

    monkeypatch.setattr(world, "read", refuse)
    with capture_logs() as said:
        world.ask()
    assert [(line["event"], line["detail"]) for line in said] == [
        ("the lag is not known", "FatalError('not authorised')")
    ]
    world.handle("a")
    assert world.worker.position() == 1
