"""A long recording whose owner goes away: the next one computes what is missing, and comes to the same result."""

from collections.abc import Mapping, Sequence

import pytest

from streamproc.records.finished import FinishedSegment, Stretch
from streamproc.records.record import TopicPartition
from streamproc.settings import FlowSettings, Settings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.testing.tier import MemorySharedTier

SETTINGS = Settings.model_construct(flow=FlowSettings(drain_s=31))
"""Of which a micro-batch's share is 0.25 s: the fake device is said to need 0.24 s for 15 s."""
SEGMENTS = 40
BODY = recording(SEGMENTS * 15_000)
FREE = {"produced_at", "processing_ms"}


class Crew:
    """Workers over one tier, one after the other."""

    def __init__(self, shared: MemorySharedTier | None) -> None:
        self.shared = shared

    def worker(self, body: bytes = BODY) -> WorkerHarness:
        worker = WorkerHarness(SETTINGS, self.shared)
        worker.assign(0)
        worker.store.put("recordings", "long", body, "audio/wav")
        value = encode_event(event_id="e", object_key="long", fields={"outputs": ["scores", "segments"]})
        worker.poll(worker.record(value))
        return worker

    def until(self, worker: WorkerHarness, computed: int) -> None:
        """Step until so many segments were computed, which is when a crash comes."""
        while sum(worker.device.batches) < computed:
            assert worker.pipeline.step()
            assert not worker.pipeline.idle


def rows(worker: WorkerHarness) -> Sequence[Mapping[str, object]]:
    """What was written, but for what may differ."""
    segments = worker._rows(worker.settings.topics.segments)
    return [{name: value for name, value in row.items() if name not in FREE} for row in (*worker.results(), *segments)]


def done(worker: WorkerHarness) -> Sequence[Mapping[str, object]]:
    worker.settle()
    assert worker.pipeline.idle
    assert worker.arena.free == worker.arena.slots
    return rows(worker)


@pytest.fixture
def undisturbed() -> Sequence[Mapping[str, object]]:
    found = done(Crew(None).worker())
    assert len(found) == 1 + SEGMENTS
    return found


def resumed_s(worker: WorkerHarness) -> float:
    found = worker.metrics.registry.get_sample_value("streamproc_resumed_audio_seconds_total")
    assert found is not None
    return found


def test_a_successor_computes_only_what_is_missing(undisturbed: Sequence[Mapping[str, object]]) -> None:
    crew = Crew(MemorySharedTier())
    crew.until(crew.worker(), 24)
    successor = crew.worker()
    assert done(successor) == undisturbed
    # What it had decoded before it asked, and what its predecessor had not kept, are computed again.
    assert SEGMENTS - 24 <= sum(successor.device.batches) <= SEGMENTS - 24 + 8
    assert resumed_s(successor) == 15 * (SEGMENTS - sum(successor.device.batches))
    computed = successor.metrics.registry.get_sample_value("streamproc_computed_audio_seconds_total")
    assert computed == 15 * sum(successor.device.batches)


def test_crash_after_crash_the_work_is_done_once(undisturbed: Sequence[Mapping[str, object]]) -> None:
    crew = Crew(MemorySharedTier())
    computed = 0
    for _ in range(4):
        worker = crew.worker()
        crew.until(worker, 9)
        computed += sum(worker.device.batches)
    last = crew.worker()
    assert done(last) == undisturbed
    assert sum(last.device.batches) + computed < SEGMENTS + 5 * 8


def test_an_answer_that_comes_late_takes_out_what_waits(undisturbed: Sequence[Mapping[str, object]]) -> None:
    crew = Crew(MemorySharedTier())
    crew.until(crew.worker(), 24)
    successor = crew.worker()
    successor.kept_reads.at_once = False
    successor.device.held = True
    successor.settle()
    waiting = len(successor.kept_reads.waiting)
    free = successor.arena.free
    assert (waiting, free) == (1, 0)
    successor.kept_reads.run()
    successor.settle()
    # Two batches are on the device; what waited behind them is known, and so is what was decoded then.
    assert successor.device.batches == []
    successor.device.held = False
    assert done(successor) == undisturbed
    assert sum(successor.device.batches) < SEGMENTS


def test_a_revoke_keeps_what_is_finished_however_little_it_is(undisturbed: Sequence[Mapping[str, object]]) -> None:
    shared = MemorySharedTier()
    crew = Crew(shared)
    worker = crew.worker()
    crew.until(worker, 9)
    kept = len(shared._finished.popitem()[1])
    place = TopicPartition("audio.recordings", 0)
    worker.pipeline.revoke([place])
    worker.settle()
    assert worker.results() == []
    assert worker.arena.free == worker.arena.slots
    [rest] = shared._finished.values()
    assert kept < 9 <= kept + len(rest)
    assert done(crew.worker()) == undisturbed


def test_a_recording_whose_decoder_dies_goes_on_from_there_on_its_lane() -> None:
    crew = Crew(MemorySharedTier())
    worker = crew.worker()
    crew.until(worker, 24)
    worker.decoders.die(1)
    worker.settle()
    again = crew.worker()
    done(again)
    assert sum(again.device.batches) <= SEGMENTS - 24 + 8


def test_without_the_tier_everything_is_computed(undisturbed: Sequence[Mapping[str, object]]) -> None:
    shared = MemorySharedTier()
    crew = Crew(shared)
    crew.until(crew.worker(), 24)
    shared.down = True
    successor = crew.worker()
    assert done(successor) == undisturbed
    assert sum(successor.device.batches) == SEGMENTS


@pytest.mark.parametrize(
    "forged",
    [
        FinishedSegment(Stretch(-1, 15_000, 30_000), (0.5,)),
        FinishedSegment(Stretch(-1, 15_000, 30_000), ()),
        FinishedSegment(Stretch(-1, 15_000, 29_999), (0.7, 0.1, 0.1, 0.1)),
        FinishedSegment(Stretch(-1, 15_001, 30_000), (0.7, 0.1, 0.1, 0.1)),
        FinishedSegment(Stretch(0, 15_000, 30_000), (0.7, 0.1, 0.1, 0.1)),
    ],
)
def test_what_is_kept_of_something_else_changes_nothing(
    forged: FinishedSegment, undisturbed: Sequence[Mapping[str, object]]
) -> None:
    shared = MemorySharedTier()
    crew = Crew(shared)
    crew.until(crew.worker(), 9)
    [key] = shared._finished
    shared._finished[key] = [forged]
    successor = crew.worker()
    assert done(successor) == undisturbed
    assert sum(successor.device.batches) == SEGMENTS


def test_other_bytes_take_nothing_over() -> None:
    crew = Crew(MemorySharedTier())
    crew.until(crew.worker(), 24)
    other = crew.worker(recording(SEGMENTS * 15_000, name="other"))
    done(other)
    assert sum(other.device.batches) == SEGMENTS


def test_of_what_is_not_long_nothing_is_asked_and_nothing_kept() -> None:
    crew = Crew(MemorySharedTier())
    worker = crew.worker(recording(15_000))
    worker.kept_reads.at_once = worker.kept_writes.at_once = False
    done(worker)
    assert not worker.kept_reads.waiting
    assert not worker.kept_writes.waiting
