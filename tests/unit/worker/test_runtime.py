import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from streamproc.arena import Arena
from streamproc.dedupe.aliases import MemoryAliases
from streamproc.dedupe.memory import MemoryTier
from streamproc.errors import AbortedError, DependencyDownError, Fatal, FatalError
from streamproc.records.compute import DeviceEvent, DeviceReady
from streamproc.records.decoding import DecoderEvent
from streamproc.records.mark import Mark, read_mark
from streamproc.records.record import CommitOffset, OutputRecord, Record, TopicPartition
from streamproc.settings import FlowSettings, KafkaSettings, Settings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics
from streamproc.testing.codec import JsonEvents, JsonRows, encode_event
from streamproc.testing.decoders import FakeDecoders, recording
from streamproc.testing.device import FakeDevice
from streamproc.testing.newest import MemoryNewest
from streamproc.testing.sink import MemorySink
from streamproc.testing.source import MemorySource
from streamproc.testing.store import MemoryStore
from streamproc.worker.front import Front
from streamproc.worker.ports import Assignments, Source
from streamproc.worker.runtime import Parts, Runtime
from streamproc.worker.threads import EventWake, ThreadHost

IN = "audio.recordings"
SOON = TopicPartition("audio.recordings.retry.10s", 0)


class Decoders(FakeDecoders):
    """The fake ones, as children that never restart."""

    restarts = 0
    sandbox = "full"
    takes = 0

    def take(self, now: float) -> Sequence[DecoderEvent]:
        self.takes += 1
        return super().take(now)

    def start(self, now: float) -> None:
        del now

    def filenos(self) -> tuple[int, ...]:
        return ()

    def close(self) -> None:
        pass


class Device(FakeDevice):
    """The fake one, as a process."""

    def __init__(self, arena: Arena) -> None:
        super().__init__(arena)
        self._wake = EventWake()
        self.loads_slowly = False
        """While true it does not say that it is ready."""
        self._late: list[DeviceEvent] = []

    def take(self, now: float) -> Sequence[DeviceEvent]:
        events = [*self._late, *super().take(now)]
        self._late = [event for event in events if self.loads_slowly and isinstance(event, DeviceReady)]
        return [event for event in events if event not in self._late]

    def start(self) -> None:
        pass

    def fileno(self) -> int:
        return self._wake.fileno()

    def close(self) -> None:
        self._wake.close()


@dataclass
class Running:
    runtime: Runtime
    sink: MemorySink
    store: MemoryStore
    device: Device
    decoders: Decoders
    sources: list[MemorySource]
    metrics: Metrics
    ended: list[BaseException | None] = field(default_factory=list)

    @property
    def source(self) -> MemorySource:
        until(lambda: bool(self.sources))
        return self.sources[0]

    def feed(self, *keys: str, partition: int = 0, start: int = 0) -> None:
        for offset, key in enumerate(keys, start):
            self.store.put("recordings", key, recording(1000, name=key), "audio/wav")
            value = encode_event(object_key=key, event_id=key)
            self.source.feed(Record(IN, partition, offset, int(time.time() * 1000), b"k", value))


def kafka_down(worker: Running) -> float | None:
    worker.runtime.show()
    return worker.metrics.registry.get_sample_value("streamproc_dependency_down", {"dependency": "kafka"})


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    running: list[tuple[Running, threading.Thread]] = []

    def begin(flow: FlowSettings | None = None, sink: MemorySink | None = None, *more: TopicPartition) -> Running:
        kafka = KafkaSettings(transaction_timeout_s=0.1)  # below the shortest drain here; nothing takes so long
        settings = Settings(kafka=kafka, flow=flow or FlowSettings())
        arena, sources = Arena(8), list[MemorySource]()
        store, device, kept = MemoryStore(), Device(arena), sink or MemorySink()
        decoders = Decoders(arena)

        def open_source(assignments: Assignments) -> Source:
            sources.append(MemorySource(assignments, [TopicPartition(IN, 0), TopicPartition(IN, 1), *more]))
            return sources[-1]

        parts = Parts(
            arena,
            decoders,
            device,
            open_source,
            kept,
            MemoryNewest(),
            JsonEvents(),
            JsonRows(),
            store,
            MemoryTier(1_000_000),
            MemoryAliases(1_000_000),
            None,
            None,
            "0",
        )
        metrics = Metrics()
        runtime = Runtime(settings, parts, ThreadHost(metrics.sheets), SystemClock(), metrics)
        one = Running(runtime, kept, store, device, decoders, sources, metrics)

        def run() -> None:
            try:
                runtime.run()
            except BaseException as error:  # noqa: BLE001  # the test looks at it
                one.ended.append(error)
            else:
                one.ended.append(None)

        thread = threading.Thread(target=run)
        thread.start()
        running.append((one, thread))
        return one

    yield begin
    for one, thread in running:
        one.runtime.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_records_flow_and_a_stop_drains_and_leaves_the_group(start: Callable[..., Running]) -> None:
    worker = start()
    worker.feed("a", "b", "c")
    until(lambda: worker.sink.position(IN, 0) == 3)
    assert worker.runtime.ready
    worker.device.held = True
    worker.feed("d", start=3)
    until(lambda: worker.runtime.status()["in_flight"]["records"] == 1)  # type: ignore[index]  # it is a dict
    assert set(Front(SystemClock(), Metrics()).status()) >= set(worker.runtime.status())
    worker.runtime.stop()
    worker.device.held = False
    until(lambda: bool(worker.ended))
    assert worker.ended == [None]
    assert worker.sink.position(IN, 0) == 4
    assert worker.source.closed


def test_nothing_is_polled_before_the_broker_was_reached(start: Callable[..., Running]) -> None:
    class Away(MemorySink):
        tries = 0

        def open(self) -> None:
            self.tries += 1
            if self.tries < 3:
                raise DependencyDownError("kafka", "away")
            answer.wait(10)

    answer = threading.Event()
    sink = Away()
    worker = start(sink=sink)
    until(lambda: kafka_down(worker) == 1)
    answer.set()
    until(lambda: worker.runtime.state == "working")
    assert (sink.tries, kafka_down(worker)) == (3, 0)


def test_a_worker_whose_device_died_is_ready_again_once_another_is_warm(start: Callable[..., Running]) -> None:
    worker = start()
    until(lambda: worker.runtime.ready)
    worker.device.loads_slowly = True
    worker.device.die()
    worker.feed("a")
    until(lambda: worker.runtime.state == "loading the network again")
    assert not worker.runtime.ready
    worker.device.loads_slowly = False
    until(lambda: worker.runtime.ready)
    until(lambda: worker.sink.position(IN, 0) == 1)
    assert worker.runtime.state == "working"


def test_decoders_are_heard_while_the_broker_is_waited_for(start: Callable[..., Running]) -> None:
    class Slow(MemorySink):
        reached = threading.Event()

        def open(self) -> None:
            self.reached.wait(10)

    sink = Slow()
    worker = start(sink=sink)
    until(lambda: worker.decoders.takes > 1)  # what they say would otherwise end each sleep of the loop at once
    assert worker.runtime.state == "loading"
    sink.reached.set()
    until(lambda: worker.runtime.state == "working")


def test_a_stop_before_the_broker_was_reached_joins_no_group(start: Callable[..., Running]) -> None:
    class Never(MemorySink):
        def open(self) -> None:
            time.sleep(0.2)
            raise DependencyDownError("kafka", "away")

    worker = start(sink=Never())
    until(lambda: worker.decoders.takes > 1)
    worker.runtime.stop()
    until(lambda: bool(worker.ended))
    assert worker.ended == [None]
    assert worker.sources == []


def test_a_full_pipeline_is_not_polled_into_but_the_group_is_still_served(start: Callable[..., Running]) -> None:
    worker = start(FlowSettings(micro_batches=1, pause_after_s=0.2))
    worker.device.held = True
    worker.feed("a")
    until(lambda: worker.device.waiting == 1)
    worker.feed("b", start=1)
    until(lambda: worker.source.paused == {TopicPartition(IN, 0), TopicPartition(IN, 1)})
    polls = worker.source.polls
    until(lambda: worker.source.polls > polls + 1)
    assert worker.runtime.status()["in_flight"]["records"] == 1  # type: ignore[index]  # it is a dict
    worker.device.held = False
    until(lambda: worker.sink.position(IN, 0) == 2)
    assert worker.source.paused == frozenset()


def test_what_other_threads_ask_of_the_source_is_served_without_room(start: Callable[..., Running]) -> None:
    worker = start(FlowSettings(micro_batches=1, pause_after_s=60, drain_s=1))
    worker.device.held = True
    worker.feed("a")
    until(lambda: worker.device.waiting == 1)
    polls, served = worker.source.polls, worker.source.served
    until(lambda: worker.source.served > served + 2)  # a commit at least once waits for it
    assert worker.source.polls == polls
    worker.device.held = False
    until(lambda: worker.sink.position(IN, 0) == 1)


def test_a_revoke_waits_for_the_device_and_only_inside_its_budget(start: Callable[..., Running]) -> None:
    worker = start(FlowSettings(drain_s=0.5, micro_batches=1))
    worker.device.held = True
    worker.feed("a")
    until(lambda: worker.device.waiting == 1)
    began = time.monotonic()
    worker.source.take_away(TopicPartition(IN, 0))
    until(lambda: worker.runtime.status()["partitions"] == [f"{IN}/1"])
    assert time.monotonic() - began >= 0.4
    worker.device.held = False
    worker.feed("b", partition=1)
    until(lambda: worker.sink.position(IN, 1) == 1)
    assert worker.sink.position(IN, 0) is None


def test_a_revoke_commits_what_the_device_finishes_in_time(start: Callable[..., Running]) -> None:
    worker = start()
    worker.device.held = True
    worker.feed("a")
    until(lambda: worker.device.waiting == 1)
    worker.source.take_away(TopicPartition(IN, 0))
    time.sleep(0.3)
    assert worker.runtime.status()["partitions"] == [f"{IN}/0", f"{IN}/1"]
    worker.device.held = False
    until(lambda: worker.runtime.status()["partitions"] == [f"{IN}/1"])
    assert worker.sink.position(IN, 0) == 1


def test_what_ended_the_polling_is_raised_and_not_what_closing_broke(start: Callable[..., Running]) -> None:
    worker = start()

    def close() -> None:
        raise RuntimeError("closing broke")

    worker.source.close = close  # type: ignore[method-assign]  # one that fails
    worker.source.error = FatalError("polling ended")
    until(lambda: bool(worker.ended))
    assert str(worker.ended[0]) == "polling ended"


def test_a_stop_spends_its_drain_budget_once(start: Callable[..., Running]) -> None:
    worker = start(FlowSettings(drain_s=2))
    worker.device.held = True
    worker.feed("a")
    until(lambda: worker.device.waiting == 1)
    began = time.monotonic()
    worker.runtime.stop()
    until(lambda: bool(worker.ended))
    assert 1.9 < time.monotonic() - began < 3.9
    assert worker.ended == [None]
    assert worker.sink.position(IN, 0) is None


def test_a_stop_begins_nothing_of_what_was_polled_and_waits(start: Callable[..., Running]) -> None:
    worker = start(FlowSettings(micro_batches=1, in_flight_audio_s=5))  # each of these records fills a micro-batch
    worker.device.held = True
    worker.feed("a", "b", "c")
    until(lambda: worker.device.waiting == 1)
    worker.runtime.stop()
    until(lambda: worker.runtime.state == "draining")
    worker.device.held = False
    until(lambda: bool(worker.ended))
    assert worker.ended == [None]
    assert worker.sink.position(IN, 0) == 1


def test_a_fatal_source_ends_the_worker(start: Callable[..., Running]) -> None:
    worker = start()
    worker.source.error = FatalError("fenced")
    until(lambda: bool(worker.ended))
    assert isinstance(worker.ended[0], FatalError)


def test_a_fatal_sink_ends_the_worker_without_waiting_for_the_drain(start: Callable[..., Running]) -> None:
    worker = start()
    worker.sink.error = FatalError("commit of unknown fate")
    worker.feed("a")
    until(lambda: bool(worker.ended))
    assert str(worker.ended[0]) == "commit of unknown fate"


class HeldSink(MemorySink):
    """Its commits of outcomes wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.released = threading.Event(), threading.Event()

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        if outputs:
            self.begun.set()
            assert self.released.wait(10)
        super().commit(outputs, offsets, group_metadata)


def test_a_partition_is_not_given_back_while_a_commit_over_it_runs(start: Callable[..., Running]) -> None:
    sink = HeldSink()
    worker = start(None, sink)
    worker.feed("a")
    assert sink.begun.wait(10)
    worker.source.take_away(TopicPartition(IN, 0))
    time.sleep(0.4)
    assert f"{IN}/0" in worker.runtime.status()["partitions"]  # type: ignore[operator]  # it is a list
    sink.released.set()
    until(lambda: worker.runtime.status()["partitions"] == [f"{IN}/1"])
    assert sink.position(IN, 0) == 1


def in_flight(worker: Running) -> object:
    return worker.runtime.status()["in_flight"]["records"]  # type: ignore[index]  # it is a dict


def test_what_is_in_flight_of_a_lost_partition_is_let_go_at_once(start: Callable[..., Running]) -> None:
    worker = start()
    worker.device.held = True
    worker.feed("a")
    until(lambda: worker.device.waiting == 1)
    worker.source.lose(TopicPartition(IN, 0))
    until(lambda: in_flight(worker) == 0)
    assert worker.sink.transactions == []


def test_a_lane_is_paused_while_its_head_is_not_due(start: Callable[..., Running]) -> None:
    worker = start(None, None, SOON)
    worker.source.feed(Record(*SOON, 0, int(time.time() * 1000), b"k", b"not due for 10 s"))
    until(lambda: worker.source.paused == {SOON})
    polls = worker.source.polls
    until(lambda: worker.source.polls > polls + 1)
    assert worker.source.paused == {SOON}


def test_a_stop_ends_what_is_decoded_still(start: Callable[..., Running]) -> None:
    worker = start()
    worker.decoders.held = True
    worker.feed("a")
    until(lambda: bool(worker.decoders.running))
    worker.runtime.stop()
    until(lambda: worker.runtime.state == "draining")
    time.sleep(0.3)
    worker.decoders.held = False
    until(lambda: bool(worker.ended))
    assert worker.sink.position(IN, 0) == 1


class AbortingSink(HeldSink):
    """Its first commit of outcomes is held, and then aborted."""

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        if outputs and not self.released.is_set():
            self.begun.set()
            assert self.released.wait(10)
            raise AbortedError("the group went on")
        super().commit(outputs, offsets, group_metadata)


def test_a_commit_tried_again_leaves_out_what_a_late_revoke_gave_back(start: Callable[..., Running]) -> None:
    sink = AbortingSink()
    worker = start(FlowSettings(drain_s=0.5, micro_batches=1), sink)
    worker.feed("a")
    assert sink.begun.wait(10)
    worker.source.take_away(TopicPartition(IN, 0))
    until(lambda: worker.source._owned == {TopicPartition(IN, 1)})  # the revoke is over, its budget spent
    sink.released.set()
    worker.feed("b", partition=1)
    until(lambda: sink.position(IN, 1) == 1)
    assert sink.position(IN, 0) is None


def slow_to_close(worker: Running, wait: Callable[[], object]) -> None:
    close = worker.source.close

    def slowly() -> None:
        wait()
        close()

    worker.source.close = slowly  # type: ignore[method-assign]  # one that takes a while


def test_a_worker_that_ends_of_an_error_leaves_its_group_first(start: Callable[..., Running]) -> None:
    worker = start()
    slow_to_close(worker, lambda: time.sleep(0.5))
    worker.sink.error = FatalError("commit of unknown fate")
    worker.feed("a")
    until(lambda: bool(worker.ended))
    assert worker.source.closed


def test_a_group_that_cannot_be_left_does_not_hold_up_the_end(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.worker.runtime.LEAVE_S", 0.3)
    worker, left = start(), threading.Event()
    slow_to_close(worker, lambda: left.wait(10))
    worker.sink.error = FatalError("commit of unknown fate")
    worker.feed("a")
    until(lambda: bool(worker.ended), 5)
    assert not worker.source.closed
    left.set()
    until(lambda: worker.source.closed)  # its thread is not to outlast the test


def test_a_group_that_cannot_be_left_does_not_hold_up_a_stop(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.worker.runtime.LEAVE_S", 0.5)
    worker, left = start(FlowSettings(drain_s=0.5, micro_batches=1)), threading.Event()
    slow_to_close(worker, lambda: left.wait(20))
    until(lambda: worker.runtime.state == "working")
    began = time.monotonic()
    with capture_logs() as lines:
        worker.runtime.stop()
        until(lambda: bool(worker.ended))
    assert 0.9 < time.monotonic() - began < 5
    assert worker.ended == [None]
    assert not worker.source.closed
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["the group was not left in time"]
    left.set()
    until(lambda: worker.source.closed)  # its thread is not to outlast the test


def test_a_revoke_waits_no_more_when_the_worker_ends_of_an_error(start: Callable[..., Running]) -> None:
    worker = start()
    worker.device.held = True
    worker.feed("a")
    until(lambda: worker.device.waiting == 1)
    worker.source.take_away(TopicPartition(IN, 0))
    time.sleep(0.3)  # it waits for the device now, inside a budget of a minute

    def take(now: float) -> Sequence[DecoderEvent]:
        raise FatalError(f"children end at once, at {now:g}")

    worker.decoders.take = take  # type: ignore[method-assign]  # one that fails
    until(lambda: bool(worker.ended), 4)
    assert worker.source.closed
    assert worker.sink.transactions == []


def mark(worker: Running, partition: int) -> Mark | None:
    committed = worker.sink.committed(IN, partition)
    return None if committed is None else read_mark(committed.metadata)


class RefusingSink(MemorySink):
    """Its results topic refuses, as without rights; marks go through."""

    def __init__(self, cause: Fatal) -> None:
        super().__init__()
        self._cause = cause

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        if outputs:
            raise FatalError("the transaction was aborted, and would be again", self._cause)
        super().commit(outputs, offsets, group_metadata)


@pytest.mark.parametrize("cause", [Fatal.REFUSED, Fatal.ABORTED_AGAIN])
def test_who_ends_for_no_records_reason_leaves_no_record_to_blame(start: Callable[..., Running], cause: Fatal) -> None:
    worker = start(None, RefusingSink(cause))
    worker.feed("a")
    until(lambda: bool(worker.ended))
    assert isinstance(worker.ended[0], FatalError)
    assert mark(worker, 0) == Mark()
    assert worker.source.closed


@pytest.mark.parametrize(
    "cause", [Fatal.OUTCOME_REFUSED, Fatal.DEVICE_KILLED, Fatal.UNFORESEEN, Fatal.FENCED, Fatal.FATE_UNKNOWN]
)
def test_who_may_end_of_a_record_or_cannot_say_it_leaves_the_mark(start: Callable[..., Running], cause: Fatal) -> None:
    worker = start(None, RefusingSink(cause))
    worker.feed("a")
    until(lambda: bool(worker.ended))
    assert mark(worker, 0) == Mark(open=mark_of_window(worker))


def mark_of_window(worker: Running) -> int:
    [first, *_] = worker.sink.plain
    return read_mark(first[0].metadata).open or 0


def fails(now: float) -> Sequence[DecoderEvent]:
    raise FatalError(f"children end at once, at {now:g}", Fatal.DECODERS_FAIL)


def test_a_commit_that_runs_when_the_worker_ends_is_waited_for_first(start: Callable[..., Running]) -> None:
    sink = HeldSink()
    worker = start(None, sink)
    worker.feed("a")
    assert sink.begun.wait(10)
    worker.feed("b", start=1)
    worker.decoders.take = fails  # type: ignore[method-assign]  # one that fails
    time.sleep(0.3)
    assert not worker.ended
    sink.released.set()
    until(lambda: bool(worker.ended))
    committed = sink.committed(IN, 0)
    assert committed is not None
    assert (committed.offset, read_mark(committed.metadata)) == (1, Mark())
    assert len(sink.transactions) == 1


def test_a_commit_that_hangs_does_not_hold_up_the_end(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.worker.runtime.LEAVE_S", 0.3)
    sink = HeldSink()
    worker = start(None, sink)
    worker.feed("a")
    assert sink.begun.wait(10)
    worker.decoders.take = fails  # type: ignore[method-assign]  # one that fails
    with capture_logs() as lines:
        time.sleep(1)
        sink.released.set()  # the executor waits for its call
        until(lambda: bool(worker.ended))
    assert "what is in flight may be blamed for this end" in [line["event"] for line in lines]


def test_the_group_is_left_in_time_although_the_marks_took_all_of_theirs(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Last(HeldSink):
        left: bool | None = None

        def close(self) -> None:
            self.left = worker.source.closed
            self.released.set()
            super().close()

    monkeypatch.setattr("streamproc.worker.runtime.LEAVE_S", 2.0)
    sink = Last()
    worker = start(None, sink)
    worker.feed("a")
    assert sink.begun.wait(10)
    leave = worker.source.close

    def slow() -> None:
        time.sleep(0.5)
        leave()

    worker.source.close = slow  # type: ignore[method-assign]  # as one whose broker is slow
    worker.decoders.take = fails  # type: ignore[method-assign]  # one that fails
    until(lambda: bool(worker.ended))
    assert sink.left


def test_where_marks_cannot_be_committed_either_the_first_error_is_told(start: Callable[..., Running]) -> None:
    worker = start()
    worker.device.held = True
    worker.feed("a")
    until(lambda: worker.device.waiting == 1)
    worker.sink.error = FatalError("not allowed", Fatal.REFUSED)
    worker.decoders.take = fails  # type: ignore[method-assign]  # one that fails
    until(lambda: bool(worker.ended), 4)
    assert "children end at once" in str(worker.ended[0])


def test_an_aborted_transaction_is_not_tried_again_by_who_ends(start: Callable[..., Running]) -> None:
    class AbortingSink(HeldSink):
        tries = 0

        def commit(
            self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object
        ) -> None:
            super().commit(outputs, offsets, group_metadata)
            if outputs:
                self.tries += 1
                raise AbortedError("told to abort")

    sink = AbortingSink()
    worker = start(None, sink)
    worker.feed("a")
    assert sink.begun.wait(10)
    worker.decoders.take = fails  # type: ignore[method-assign]  # one that fails
    time.sleep(0.3)
    sink.released.set()
    until(lambda: bool(worker.ended))
    assert (sink.tries, mark(worker, 0)) == (1, Mark())
