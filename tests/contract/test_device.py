"""What every device does: the ones in memory, and the real process with the demo model on each engine."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE, SLOT_SAMPLES, Arena
from streamproc.bench.peer import open_peer
from streamproc.emotion.device import DeviceProcess
from streamproc.emotion.device_message import MAX_ITEMS
from streamproc.emotion.directory import find_directory
from streamproc.records.compute import BatchDone, DeviceDied, DeviceEvent, DeviceReady, ItemError, Scored, SegmentHandle
from streamproc.records.embedding import unpack
from streamproc.settings import ModelSettings
from streamproc.testing.device import FakeDevice
from streamproc.testing.simulation.parts import SimulatedDevice
from streamproc.worker.ports import Device
from tests.contract.simulated import SimulatedPlace

Wave = NDArray[np.float32]
PATIENCE_S = 90.0
"""A process imports torch first, which takes long where the cores are shared."""
batches = count(1)


def sound(seed: int, samples: int = SAMPLE_RATE) -> Wave:
    wave: Wave = (np.random.default_rng(seed).random(samples) * 0.2).astype(np.float32)
    return wave


@dataclass
class Bench:
    """The worker's side."""

    arena: Arena
    device: Device
    wait: Callable[[], object]
    """Return when there may be something to take."""
    die: Callable[[Mapping[int, Sequence[SegmentHandle]]], object]
    """Submit these batches, and kill it when it has answered the first, which nobody has taken, and no other."""

    def put(self, wave: Wave, *, embedding: bool = False) -> SegmentHandle:
        lease = self.arena.lease()
        assert lease is not None
        self.arena.write(lease, wave)
        return SegmentHandle(lease, len(wave), embedding)

    def give_back(self, handles: Sequence[SegmentHandle]) -> None:
        for handle in handles:
            self.arena.release(handle.lease)

    def submit(self, items: Sequence[SegmentHandle]) -> int:
        batch = next(batches)
        self.device.submit(batch, items)
        return batch

    def take_until(self, wanted: Callable[[list[DeviceEvent]], object]) -> list[DeviceEvent]:
        events: list[DeviceEvent] = []
        deadline = time.monotonic() + PATIENCE_S
        while not wanted(events):
            assert time.monotonic() < deadline, f"waited in vain, heard {events}"
            self.wait()
            events += self.device.take(time.monotonic())
        return events

    def answers(self, *ids: int) -> dict[int, tuple[Scored | ItemError, ...]]:
        """What these batches came to; nothing else may be said."""
        events = self.take_until(lambda events: len(events) >= len(ids))
        found = {event.batch: event.items for event in events if isinstance(event, BatchDone)}
        assert sorted(found) == sorted(ids)
        assert len(events) == len(ids)
        return found

    def run(self, items: Sequence[SegmentHandle]) -> tuple[Scored | ItemError, ...]:
        batch = self.submit(items)
        return self.answers(batch)[batch]

    def values(self, *waves: Wave, embedding: bool = False) -> list[Scored]:
        """Those of a batch without a bad item."""
        handles = [self.put(wave, embedding=embedding) for wave in waves]
        items = self.run(handles)
        self.give_back(handles)
        assert len(items) == len(waves)
        return [item for item in items if not isinstance(item, ItemError)]


def fake(arena: Arena) -> Iterator[Bench]:
    device = FakeDevice(arena)

    def die(doomed: Mapping[int, Sequence[SegmentHandle]]) -> None:
        for batch, items in doomed.items():
            device.submit(batch, items)
        device.die(answered=1)

    yield Bench(arena, device, lambda: None, die)


def process(arena: Arena, engine: str = "streamproc") -> Iterator[Bench]:
    device = DeviceProcess(ModelSettings(engine=engine, device="cpu", threads=1, deaths_allowed=100), arena)

    def die(doomed: Mapping[int, Sequence[SegmentHandle]]) -> None:
        assert device.pid is not None
        (first, items), *rest = doomed.items()
        device.submit(first, items)
        assert select.select([device.fileno()], [], [], PATIENCE_S)[0], "the first was not answered"
        os.kill(device.pid, signal.SIGSTOP)
        for batch, items in rest:
            device.submit(batch, items)
        os.kill(device.pid, signal.SIGKILL)

    with closing(device):
        device.start()
        yield Bench(arena, device, lambda: select.select([device.fileno()], [], [], 0.2), die)


def funasr_process(arena: Arena) -> Iterator[Bench]:
    return process(arena, "funasr")


def simulated(arena: Arena) -> Iterator[Bench]:
    place = SimulatedPlace()
    device = SimulatedDevice(arena, place)

    def die(doomed: Mapping[int, Sequence[SegmentHandle]]) -> None:
        (first, items), *rest = doomed.items()
        device.submit(first, items)
        place.go_on(60)
        for batch, items in rest:
            device.submit(batch, items)
        device.die()

    device.start()
    yield Bench(arena, device, place.go_on, die)


@pytest.fixture(scope="module", params=[fake, simulated, process, funasr_process])
def born(request: pytest.FixtureRequest) -> Iterator[tuple[Bench, list[DeviceEvent], int]]:
    """One device for all tests, as a process takes a while to start: what it said first, and its first batch."""
    with closing(Arena(8)) as arena:
        for bench in request.param(arena):
            with pytest.raises(ValueError, match="not ready"):
                bench.device.cost([SAMPLE_RATE])
            with pytest.raises(ValueError, match="not ready"):
                bench.device.most_items(SAMPLE_RATE)
            short = bench.put(sound(0, 1))
            first = bench.submit([short])
            events = bench.take_until(lambda events: len(events) == 2)
            bench.give_back([short])
            yield bench, events, first


@pytest.fixture
def bench(born: tuple[Bench, list[DeviceEvent], int]) -> Iterator[Bench]:
    """One that is ready and has nothing to do, before and after each test."""
    bench, _, _ = born
    yield bench
    assert not bench.device.take(time.monotonic())
    assert bench.arena.free == bench.arena.slots


def test_it_says_that_it_is_ready_before_it_answers_anything(born: tuple[Bench, list[DeviceEvent], int]) -> None:
    _, (ready, done), first = born
    assert isinstance(ready, DeviceReady)
    assert len(set(ready.identity.labels)) == len(ready.identity.labels) > 1
    assert isinstance(done, BatchDone)
    assert done.batch == first


def test_scores_are_shares_of_the_labels(bench: Bench, born: tuple[Bench, list[DeviceEvent], int]) -> None:
    _, (ready, _), _ = born
    assert isinstance(ready, DeviceReady)
    (value,) = bench.values(sound(1))
    assert len(value.scores) == len(ready.identity.labels)
    assert sum(value.scores) == pytest.approx(1)
    assert all(0 <= score <= 1 for score in value.scores)


def test_only_who_wants_an_embedding_gets_one(bench: Bench, born: tuple[Bench, list[DeviceEvent], int]) -> None:
    _, (ready, _), _ = born
    assert isinstance(ready, DeviceReady)
    waves = [sound(1), sound(2, 7000), sound(3, 399), sound(4, 400)]
    alone = [value.embedding for wave in waves[:2] for value in bench.values(wave, embedding=True)]
    handles = [bench.put(wave, embedding=place != 1) for place, wave in enumerate(waves)]
    one, two, error, four = bench.run(handles)
    bench.give_back(handles)
    assert isinstance(error, ItemError)
    assert isinstance(one, Scored)
    assert isinstance(two, Scored)
    assert isinstance(four, Scored)
    assert two.embedding == b""
    assert one.embedding == alone[0] != alone[1]
    assert len(unpack(four.embedding)) == ready.identity.embed_dim > 0
    assert [Scored(one.scores), two] == bench.values(*waves[:2])


def test_a_full_batch_of_embeddings_is_answered_whole(bench: Bench) -> None:
    [own] = bench.values(sound(1, 400), embedding=True)
    handle = bench.put(sound(1, 400), embedding=True)
    assert bench.run([handle] * MAX_ITEMS) == (own,) * MAX_ITEMS
    bench.give_back([handle])


def test_values_come_in_the_order_of_the_batch_and_are_the_same_in_any(bench: Bench) -> None:
    waves = [sound(1), sound(2, 7000), sound(3, 3 * SAMPLE_RATE), sound(4, 400)]
    alone = [value for wave in waves for value in bench.values(wave)]
    assert len(set(alone)) == len(waves)
    assert bench.values(*waves) == alone
    assert bench.values(*waves[::-1]) == alone[::-1]
    assert bench.values(waves[1], waves[1]) == [alone[1], alone[1]]


def test_each_batch_is_answered_exactly_once(bench: Bench) -> None:
    handles = [bench.put(sound(seed)) for seed in range(3)]
    ids = [bench.submit(handles[: 1 + place % 3]) for place in range(9)]
    answers = bench.answers(*ids)
    assert [len(answers[batch]) for batch in ids] == [1, 2, 3] * 3
    bench.give_back(handles)


@pytest.mark.parametrize(
    "bad",
    [sound(9, 399), sound(9, 0), np.array([0.1] * 999 + [np.nan], np.float32)],
    ids=["short", "empty", "not a number"],
)
def test_a_waveform_without_scores_harms_no_neighbour(bench: Bench, bad: Wave) -> None:
    handles = [bench.put(wave) for wave in (sound(1), bad, sound(2))]
    one, error, two = bench.run(handles)
    bench.give_back(handles)
    assert isinstance(error, ItemError)
    assert [one, two] == bench.values(sound(1), sound(2))


def test_a_batch_that_breaks_the_contract_is_refused(bench: Bench) -> None:
    short = bench.put(sound(0, 1))
    for items in ([], [short] * (MAX_ITEMS + 1)):
        with pytest.raises(ValueError, match="1 to 128"):
            bench.submit(items)
    batch = bench.submit([short] * MAX_ITEMS)
    with pytest.raises(ValueError, match="a new number"):
        bench.device.submit(batch, [short])
    assert len(bench.answers(batch)[batch]) == MAX_ITEMS
    bench.give_back([short])


def test_more_and_longer_items_cost_more(bench: Bench) -> None:
    second, longest = [SAMPLE_RATE], [SLOT_SAMPLES]
    # No less, where it is measured: on a busy machine a short item can take as long as a long one.
    assert 0 < bench.device.cost(second) <= bench.device.cost(longest)
    assert bench.device.cost(second * 2) > bench.device.cost(second)


def test_longer_items_are_no_more_at_once(bench: Bench) -> None:
    counts = [bench.device.most_items(longest) for longest in (400, SAMPLE_RATE, SLOT_SAMPLES)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 1
    assert counts[0] <= MAX_ITEMS


def test_a_death_names_every_batch_that_was_lost_and_none_that_was_answered(
    bench: Bench, born: tuple[Bench, list[DeviceEvent], int]
) -> None:
    _, (ready, _), _ = born
    handle = bench.put(sound(1))
    expected = bench.run([handle])
    answered, lost, lost_too = (next(batches) for _ in range(3))
    bench.die({batch: [handle] for batch in (answered, lost, lost_too)})
    late = bench.submit([handle])

    done, died = bench.take_until(lambda events: any(isinstance(event, DeviceDied) for event in events))
    assert isinstance(done, BatchDone)
    assert (done.batch, done.items) == (answered, expected)
    assert isinstance(died, DeviceDied)
    assert sorted(died.batches) == [lost, lost_too, late]

    for batch in (lost, lost_too, late):
        bench.device.submit(batch, [handle])
    again, *rest = bench.take_until(lambda events: len(events) == 4)
    bench.give_back([handle])
    assert again == ready
    assert bench.device.cost([SAMPLE_RATE]) > 0
    again_values = {event.batch: event.items[0] for event in rest if isinstance(event, BatchDone)}
    assert set(again_values) == {lost, lost_too, late}
    # Each process picks its own products, so across a death they agree within the bound of fp32, not bit for bit.
    assert isinstance(expected[0], Scored)
    for value in again_values.values():
        assert isinstance(value, Scored)
        assert value.scores == pytest.approx(expected[0].scores, abs=1e-6)


def test_a_slot_that_is_somebody_elses_by_now_is_nobodys_fault(bench: Bench) -> None:
    """Slots of a batch are held until it is answered: another lease is a mistake of whoever presents it."""
    slots = [bench.put(sound(0)) for _ in range(bench.arena.slots)]
    bench.give_back(slots)
    handles = [bench.put(sound(seed)) for seed in range(bench.arena.slots)]
    batch = bench.submit([handles[0], slots[1], handles[1]])
    died, ready = bench.take_until(lambda events: len(events) == 2)
    bench.give_back(handles)
    assert isinstance(died, DeviceDied)
    assert died.batches == (batch,)
    assert isinstance(ready, DeviceReady)


@pytest.mark.parametrize("engine", ["streamproc", "funasr"])
def test_each_engine_gives_what_funasr_gives_for_a_file_alone(engine: str) -> None:
    waves = [sound(1), sound(2, 7000), sound(3, 3 * SAMPLE_RATE), sound(4, 400)]
    with closing(Arena(8)) as arena:
        for bench in process(arena, engine):
            (ready,) = bench.take_until(len)
            found = bench.values(*waves)
    assert isinstance(ready, DeviceReady)
    assert ready.identity.engine.partition(" ")[0] == engine
    with open_peer(find_directory("demo", Path("/nowhere")), threads=1) as peer:
        for value, wave in zip(found, waves, strict=True):
            assert value.scores == pytest.approx(peer.scores(wave), abs=1e-4)
