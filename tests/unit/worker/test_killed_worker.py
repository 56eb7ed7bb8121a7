"""A recording that kills who works on it: a decoder, the device, the worker."""

from collections.abc import Collection, Iterable

import pytest

from streamproc.arena import Lease
from streamproc.errors import AbortedError, Cause, Fatal, FatalError
from streamproc.records.record import OutputRecord, Record, TopicPartition
from streamproc.records.recording import RecordingEvent
from streamproc.settings import FlowSettings, ModelSettings, RetrySettings, Settings
from streamproc.testing.codec import JsonEvents, encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.worker.core.strikes import CAREFUL_AFTER, CONDEMNED_AFTER
from streamproc.worker.stages.infer import MOST_STRIKES
from streamproc.worker.stages.prepare import MOST_DEATHS

IN = "audio.recordings"
DLQ = f"{IN}.dlq"
LANE = f"{IN}.retry.10s"
ALLOWED = ModelSettings.model_construct().deaths_allowed
DEADLY = "deadly.wav"


@pytest.fixture
def worker() -> WorkerHarness:
    harness = WorkerHarness()
    harness.assign(0)
    harness.assign(0, topic=LANE)
    return harness


def put(worker: WorkerHarness, name: str, ms: int = 1000) -> bytes:
    worker.store.put("recordings", name, recording(ms, name=name), "audio/wav")
    return encode_event(event_id=name, object_key=name)


def why(letter: OutputRecord) -> tuple[str, str, str]:
    headers = {name: (value or b"").decode() for name, value in letter.headers}
    return headers["sp-reason"], headers["sp-stage"], headers["sp-message"]


def done(worker: WorkerHarness) -> list[object]:
    return [row["event_id"] for row in worker.results()]


# --- decoders --------------------------------------------------------------------------------------------------------


def kill_decoders_of(worker: WorkerHarness, name: str) -> int:
    """Go on until nothing moves, and kill each child that gets a recording; how many."""
    killed = 0
    while worker.pipeline.step():
        for job, body in worker.decoders.running.items():
            if name.encode() in body:
                worker.decoders.die(job)
                killed += 1
    return killed


def come_again(worker: WorkerHarness) -> None:
    """Poll what went to the lane, at the moment when it is due."""
    worker.poll(*[worker.record(one.value, topic=LANE, headers=one.headers) for one in worker.sink.values(LANE)])
    worker.clock.advance(10)


def test_a_recording_that_kills_its_decoders_is_given_up_and_its_neighbours_are_not(worker: WorkerHarness) -> None:
    names = ["a.wav", DEADLY, "b.wav", "c.wav"]
    worker.poll(*[worker.record(put(worker, name)) for name in names])
    assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS
    assert done(worker) == ["a.wav", "b.wav", "c.wav"]
    come_again(worker)
    assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS
    [letter] = worker.sink.values(DLQ)
    reason, stage, message = why(letter)
    assert (reason, stage) == ("killed_worker", "prepare")
    assert "SIGKILL" in message
    assert worker.arena.free == worker.arena.slots


def test_events_of_the_same_bytes_share_the_tries(worker: WorkerHarness) -> None:
    worker.store.put("recordings", DEADLY, recording(1000, name=DEADLY), "audio/wav")
    worker.poll(*[worker.record(encode_event(event_id=f"{n}", object_key=DEADLY)) for n in range(3)])
    assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS
    assert [why(letter)[0] for letter in worker.sink.values(LANE)] == ["killed_worker"] * 3
    come_again(worker)
    assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS
    assert [why(letter)[0] for letter in worker.sink.values(DLQ)] == ["killed_worker"] * 3


def test_one_whose_decoders_ended_for_want_of_memory_is_computed_once_there_is_some(worker: WorkerHarness) -> None:
    worker.poll(*[worker.record(put(worker, name)) for name in ("a.wav", "b.wav")])
    assert kill_decoders_of(worker, ".wav") == 2 * MOST_DEATHS
    assert not worker.sink.values(DLQ)
    come_again(worker)
    worker.settle()
    assert [(row["event_id"], row["attempts"]) for row in worker.results()] == [("a.wav", 2), ("b.wav", 2)]


def reasons(letters: list[OutputRecord]) -> list[str]:
    return [why(letter)[0] for letter in letters]


def late(worker: WorkerHarness) -> list[OutputRecord]:
    """Announce a recording that is not there yet, which comes then; what went to the lane for that."""
    worker.poll(worker.record(encode_event(event_id=DEADLY, object_key=DEADLY)))
    worker.settle()
    sent = worker.sink.values(LANE)
    assert reasons(sent) == ["object_missing"]
    worker.store.put("recordings", DEADLY, recording(1000, name=DEADLY), "audio/wav")
    return sent


def test_one_that_was_on_a_lane_for_something_else_has_a_second_chance_too(worker: WorkerHarness) -> None:
    sent = late(worker)
    come_again(worker)
    assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS
    assert reasons(worker.sink.values(LANE)[len(sent) :]) == ["killed_worker"]
    worker.poll(*[worker.record(one.value, topic=LANE, headers=one.headers) for one in worker.sink.values(LANE)[1:]])
    worker.clock.advance(10)
    assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS
    assert reasons(worker.sink.values(DLQ)) == ["killed_worker"]


@pytest.mark.parametrize("leads", [0, 1])
def test_who_waits_for_the_same_bytes_is_judged_by_its_own_last_try(worker: WorkerHarness, leads: int) -> None:
    """In two rounds, in each of which one from a lane leads the flight, or waits for the other."""

    def together(sent: OutputRecord, event_id: str) -> None:
        again = worker.record(sent.value, topic=LANE, headers=sent.headers)
        worker.clock.advance(10)
        new = worker.record(encode_event(event_id=event_id, object_key=DEADLY))
        worker.decoders.held = True
        worker.poll(*([again, new] if leads == 0 else [new, again]))
        worker.settle()
        worker.decoders.held = False
        assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS

    [sent] = late(worker)
    together(sent, "second")
    moved = worker.sink.values(LANE)[1:]
    assert reasons(moved) == ["killed_worker"] * 2
    assert not worker.sink.values(DLQ)
    together(next(one for one in moved if one.value == sent.value), "third")
    assert [letter.value for letter in worker.sink.values(DLQ)] == [sent.value]
    assert reasons(worker.sink.values(DLQ)) == ["killed_worker"]
    assert reasons(worker.sink.values(LANE)[3:]) == ["killed_worker"]


def test_in_strict_order_one_that_waited_for_something_else_has_a_second_chance_too() -> None:
    worker = WorkerHarness(Settings(retry=RetrySettings(order="strict")))
    worker.assign(0)
    event = put(worker, DEADLY)
    worker.store.failing = {DEADLY: Cause.SERVER_ERROR}
    worker.poll(worker.record(event))
    worker.settle()
    worker.store.failing = {}
    worker.clock.advance(10)
    assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS
    assert not worker.sink.values(DLQ)
    worker.clock.advance(20)
    assert kill_decoders_of(worker, DEADLY) == MOST_DEATHS
    assert reasons(worker.sink.values(DLQ)) == ["killed_worker"]


def test_a_recording_that_is_tried_again_starts_from_nothing(worker: WorkerHarness) -> None:
    worker.store.put("recordings", "long", recording(40_000, name="long"), "audio/wav")
    worker.poll(worker.record(encode_event(event_id="long", object_key="long", fields={"outputs": ["segments"]})))
    worker.device.held = True
    while not worker.device.waiting:
        worker.pipeline.step()
    [job] = worker.decoders.running
    worker.decoders.die(job)
    worker.settle()
    worker.device.held = False
    worker.settle()
    assert done(worker) == ["long"]
    assert worker.results()[0]["segment_count"] == 3
    assert worker.arena.free == worker.arena.slots


# --- the device ------------------------------------------------------------------------------------------------------


def compute(worker: WorkerHarness, deadly: set[int], most: int = 200) -> list[int]:
    """Run the device batch by batch; it dies of a segment that is so long (ms). Sizes of what was on board then."""
    deaths = []
    worker.device.held = True
    for _ in range(most):
        worker.settle()
        aboard = [item.samples // 16 for items in worker.device._queue.values() for item in items]
        if not aboard:
            break
        if deadly.intersection(aboard):
            deaths.append(len(aboard))
            worker.device.die()
        else:
            worker.device.held = False
            worker.pipeline.step()
            worker.device.held = True
    worker.device.held = False
    worker.settle()
    return deaths


def test_a_recording_that_kills_the_device_is_found_among_its_neighbours(worker: WorkerHarness) -> None:
    lengths = {f"{n}.wav": 1000 for n in range(7)} | {DEADLY: 1001}
    worker.poll(*[worker.record(put(worker, name, ms)) for name, ms in lengths.items()])
    deaths = compute(worker, {1001})
    assert deaths[0] > 1
    assert deaths[1:] == [1] * MOST_STRIKES
    assert sorted(map(str, done(worker))) == [f"{n}.wav" for n in range(7)]
    [letter] = worker.sink.values(DLQ)
    reason, stage, message = why(letter)
    assert (reason, stage) == ("killed_worker", "infer")
    assert "segment 0 at 0 ms" in message
    assert worker.arena.free == worker.arena.slots


def test_one_that_is_alone_when_the_device_dies_of_something_else_is_computed(worker: WorkerHarness) -> None:
    worker.device.held = True
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.settle()
    for _ in range(MOST_STRIKES - 1):
        worker.device.die()
        worker.settle()
    worker.device.held = False
    worker.settle()
    assert done(worker) == ["a.wav"]


def test_one_that_is_alone_on_devices_that_could_not_go_on_is_computed(worker: WorkerHarness) -> None:
    worker.device.held = True
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.settle()
    for _ in range(MOST_STRIKES + 1):
        worker.device.die(blameless=True)
        worker.settle()
    worker.device.held = False
    worker.settle()
    assert done(worker) == ["a.wav"]


def test_suspects_are_computed_alone_and_the_oldest_first(worker: WorkerHarness) -> None:
    worker.device.held = True
    worker.poll(*[worker.record(put(worker, f"{n}.wav")) for n in range(4)])
    worker.settle()
    worker.device.die()
    worker.poll(worker.record(put(worker, "later.wav")))
    sizes = []
    while not worker.pipeline.idle:
        worker.settle()
        sizes.append(sum(len(items) for items in worker.device._queue.values()))
        worker.device.held = False
        worker.pipeline.step()
        worker.device.held = True
    assert [size for size in sizes if size] == [1] * 5
    assert done(worker) == ["0.wav", "1.wav", "2.wav", "3.wav", "later.wav"]


def test_one_that_no_other_shows_to_be_to_blame_is_not_blamed_for_a_device(worker: WorkerHarness) -> None:
    worker.device.held = True
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.settle()
    for _ in range(MOST_STRIKES - 1):
        worker.device.die()
        worker.settle()
    worker.device.die()
    with pytest.raises(FatalError, match="nothing was computed before") as caught:
        worker.settle()
    assert caught.value.cause is Fatal.DEVICE_KILLED
    assert not worker.sink.values(DLQ)


def test_others_are_tried_in_between_until_the_device_has_computed_one(worker: WorkerHarness) -> None:
    worker.device.held = True
    worker.poll(worker.record(put(worker, DEADLY, 1001)), worker.record(put(worker, "b.wav")))
    worker.settle()
    worker.device.die()
    worker.poll(worker.record(put(worker, "later.wav")))
    assert compute(worker, {1001}) == [1] * MOST_STRIKES
    assert done(worker) == ["b.wav", "later.wav"]
    assert [why(letter)[:2] for letter in worker.sink.values(DLQ)] == [("killed_worker", "infer")]


def test_a_device_that_dies_of_all_that_it_computes_makes_few_dead_letters() -> None:
    names, lives, dead = [f"{n}.wav" for n in range(60)], 14, 0
    last: WorkerHarness | None = None
    for _ in range(lives):
        worker = WorkerHarness(Lives(names).settings)
        worker.sink._committed = {} if last is None else dict(last.sink._committed)
        worker.assign(0)
        first = worker.position(0) or 0
        worker.device.held = True
        worker.poll(*[worker.record(put(worker, name), offset=at) for at, name in enumerate(names) if at >= first])
        with pytest.raises(FatalError):
            die_of_all(worker)
        dead += len(worker.sink.values(DLQ))
        last = worker
    assert dead <= lives // CONDEMNED_AFTER


def die_of_all(worker: WorkerHarness) -> None:
    """Let the device die of whatever it is given, as ``DeviceProcess`` counts it."""
    blamed: set[Lease] = set()
    many = 0
    while len(blamed) < ALLOWED and many < ALLOWED:
        worker.settle()
        aboard = [item for items in worker.device._queue.values() for item in items]
        if len(aboard) == 1:
            blamed.add(aboard[0].lease)
        many += len(aboard) > 1
        worker.device.die()
    raise FatalError("the device process ended too often", Fatal.DEVICE_KILLED)


# --- the worker ------------------------------------------------------------------------------------------------------


class Crash(Exception):  # noqa: N818  # what happens to the process, which a test outlives
    """Stands for a signal."""


class Lives:
    """Workers that follow each other on what the last one left in its group, and die at a fetch, or crash."""

    def __init__(self, names: list[str], deadly: Collection[str] = ()) -> None:
        flow = FlowSettings.model_construct(**{**FlowSettings.model_construct().model_dump(), "micro_batch_records": 4})
        self.settings = Settings.model_construct(flow=flow)
        self.names = names
        self.deadly = {*deadly}
        self.deaths = 0
        self.ends: dict[str, str] = {}
        self.last: WorkerHarness | None = None

    def live(self) -> bool:
        """One worker from its start to its end; whether it died."""
        worker = WorkerHarness(self.settings)
        if self.last is not None:
            worker.sink._committed = dict(self.last.sink._committed)
        worker.assign(0)
        worker.fetches.at_once = False
        committed = worker.sink.committed(IN, 0)
        first = committed.offset if committed else 0
        self.last = worker
        left = [worker.record(put(worker, name), offset=at) for at, name in enumerate(self.names) if at >= first]
        try:
            died = self._work(worker, left)
        except Crash:
            died = True
        self.deaths += died
        self.ends |= {str(row["event_id"]): "result" for row in worker.results()}
        self.ends |= {letter.key.decode() if letter.key else "": why(letter)[0] for letter in worker.sink.values(DLQ)}
        return died

    def _work(self, worker: WorkerHarness, left: Iterable[Record]) -> bool:
        for record in left:
            worker.poll(record)
        while True:
            worker.settle()
            waiting = {admitted.event.object_key for admitted, _ in worker.fetches.waiting}
            if not waiting:
                return False
            if self.deadly & waiting:
                return True
            worker.fetches.run(0)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Events that end the process that reads them."""
    names: set[str] = set()
    decode = JsonEvents.decode

    def dying(self: JsonEvents, value: bytes) -> RecordingEvent:
        event = decode(self, value)
        if event.event_id in names:
            raise Crash
        return event

    monkeypatch.setattr(JsonEvents, "decode", dying)
    return names


@pytest.mark.parametrize("place", [0, 1, 6, 11])
@pytest.mark.parametrize("of", ["its recording", "its event"])
def test_a_record_that_kills_the_worker_is_given_up_and_nobody_else_is(
    place: int, of: str, unreadable: set[str]
) -> None:
    names = [f"{n}.wav" for n in range(12)]
    lives = Lives(names)
    (lives.deadly if of == "its recording" else unreadable).add(names[place])
    while lives.live():
        assert lives.deaths < 20, lives.ends
    assert lives.ends == dict.fromkeys([*names[:place], *names[place + 1 :]], "result") | {"call-1": "killed_worker"}
    assert lives.deaths >= CAREFUL_AFTER + CONDEMNED_AFTER
    assert lives.last is not None
    assert lives.last.position(0) == len(names)
    [letter] = lives.last.sink.values(DLQ)
    assert why(letter)[1:] == ("admit", why(letter)[2])
    assert "replay" in why(letter)[2]


def test_a_stop_tells_the_next_owner_that_nothing_is_in_flight(worker: WorkerHarness) -> None:
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.settle()
    committed = worker.sink.committed(IN, 0)
    assert committed
    assert committed.metadata != "sp1 open=- crashes=0 strikes=0"
    worker.pipeline.drain()
    worker.pipeline.revoke([TopicPartition(IN, 0)])
    worker.settle()
    committed = worker.sink.committed(IN, 0)
    assert committed
    assert (committed.offset, committed.metadata) == (1, "sp1 open=- crashes=0 strikes=0")


def wait(worker: WorkerHarness) -> None:
    for _ in range(100):
        worker.settle(60)


def test_a_mark_that_was_aborted_to_the_end_is_tried_once_more_by_who_ends_of_it(worker: WorkerHarness) -> None:
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.settle()
    worker.pipeline.revoke([TopicPartition(IN, 0)])
    worker.sink.error = AbortedError("told to abort")
    with pytest.raises(FatalError) as caught:
        wait(worker)
    assert caught.value.cause is Fatal.ABORTED_AGAIN
    worker.sink.error = None
    worker.pipeline.acquit()
    while not worker.pipeline.acquitted():
        worker.clock.advance(1)
    committed = worker.sink.committed(IN, 0)
    assert committed
    assert committed.metadata == "sp1 open=- crashes=0 strikes=0"
