"""Several workers that want the same, one step at a time; and what is known from long ago."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from streamproc.errors import FatalError
from streamproc.records.weight import weight
from streamproc.settings import DedupeSettings, Settings
from streamproc.telemetry.metrics import TierFault
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.testing.tier import MemoryArchive, MemorySharedTier
from streamproc.worker.stages.tiers import CLAIM_S, MOST_ARCHIVED

BODY = recording(1000, name="one")
WAIT_S = 2.0


def worker_with(
    shared: MemorySharedTier | None, slot: str = "0", archive: MemoryArchive | None = None, **dedupe: Any
) -> WorkerHarness:
    settings = Settings.model_construct(dedupe=DedupeSettings(claim_wait_s=WAIT_S).model_copy(update=dedupe))
    worker = WorkerHarness(settings, shared, archive, slot=slot)
    worker.assign(0)
    return worker


def poll(worker: WorkerHarness, *keys: str, body: bytes = BODY) -> None:
    """Announce recordings of equal bytes, in one micro-batch, and go as far as that goes at once."""
    for key in keys:
        worker.store.put("recordings", key, body, "audio/wav")
    worker.poll(*(worker.record(encode_event(key, event_id=key)) for key in keys))
    worker.settle()


def store_and_poll(worker: WorkerHarness, count: int) -> None:
    """Announce recordings of different bytes, in one micro-batch, and go as far as that goes at once."""
    keys = [f"{number}.wav" for number in range(count)]
    for key in keys:
        worker.store.put("recordings", key, recording(1000, name=key), "audio/wav")
    worker.poll(*(worker.record(encode_event(key, event_id=key)) for key in keys))
    worker.settle()


def behind(worker: WorkerHarness) -> float:
    count: float = worker.metrics.tier_errors[TierFault.BEHIND]._value.get()
    return count


def tiers(worker: WorkerHarness) -> list[object]:
    return [row["tier"] for row in worker.results()]


def held_up(shared: MemorySharedTier) -> WorkerHarness:
    """A worker that has claimed what it cannot compute yet."""
    first = worker_with(shared)
    first.device.held = True
    poll(first, "a.wav")
    assert list(shared.claims)
    return first


def test_the_shared_tier_is_not_asked_for_each_record() -> None:
    """It takes a moment, as a server does: what comes meanwhile is in the next question, however much it is."""
    count = 50
    shared = MemorySharedTier()
    worker = worker_with(shared)
    calls = (worker.tier_reads, worker.claims, worker.tier_writes)
    for one in calls:
        one.at_once = False
    store_and_poll(worker, count)
    while any(one.waiting for one in calls):
        for one in calls:
            while one.waiting:
                one.run()
        worker.settle()
    assert tiers(worker) == ["computed"] * count
    assert shared.calls <= 8  # reads, claims and writes together


def test_what_another_one_computes_is_waited_for() -> None:
    shared = MemorySharedTier()
    first, second = held_up(shared), worker_with(shared, "1")
    poll(second, "b.wav", "c.wav")
    assert not second.results()
    first.device.held = False
    first.settle()
    second.settle(seconds=0.2)
    assert tiers(first) == ["computed"]
    assert sorted(map(str, tiers(second))) == ["memory", "redis"]
    assert second.device.batches == []


def test_nobody_waits_for_longer_than_is_allowed() -> None:
    shared = MemorySharedTier()
    held_up(shared)
    second = worker_with(shared, "1")
    poll(second, "b.wav")
    second.settle(seconds=WAIT_S - 0.1)
    assert not second.results()
    second.settle(seconds=0.2)
    assert tiers(second) == ["computed"]


@pytest.mark.parametrize("known", [False, True])
def test_nobody_waits_for_longer_because_the_tier_is_slow(*, known: bool) -> None:
    shared = MemorySharedTier()
    first, second = held_up(shared), worker_with(shared, "1")
    poll(second, "b.wav")
    second.tier_reads.at_once = False
    second.settle(seconds=WAIT_S - 0.1)
    assert len(second.tier_reads.waiting) == 1
    second.settle(seconds=0.1)
    assert tiers(second) == ["computed"]
    poll(second, "c.wav")
    first.device.held = not known
    first.settle()
    second.tier_reads.at_once = True  # the answer comes late: nobody waits for it
    second.settle()
    assert tiers(second) == ["computed", "memory"]
    assert second.device.batches == [1]


def test_a_late_answer_is_not_taken_for_one_to_who_asks_anew() -> None:
    shared = MemorySharedTier()
    held_up(shared)
    second = worker_with(shared, "1", memory_bytes=1)
    poll(second, "b.wav")
    second.tier_reads.at_once = False
    second.tier_writes.at_once = False
    second.settle(seconds=WAIT_S - 0.1)
    second.settle(seconds=0.1)
    poll(second, "c.wav")  # this process has forgotten it
    second.tier_reads.run()
    second.settle()
    assert tiers(second) == ["computed"]
    assert len(second.tier_reads.waiting) == 1
    second.tier_writes.run()
    second.tier_reads.run()
    second.settle()
    assert tiers(second) == ["computed", "redis"]


def test_what_is_one_s_own_is_computed_meanwhile() -> None:
    shared = MemorySharedTier()
    held_up(shared)
    second = worker_with(shared, "1")
    poll(second, "b.wav")
    poll(second, "c.wav", body=recording(1000, name="another"))
    assert second.device.batches == [1]


def test_two_that_want_each_other_s_both_go_on() -> None:
    shared = MemorySharedTier()
    other = recording(1000, name="another")
    first, second = worker_with(shared), worker_with(shared, "1")
    for worker, body in ((first, BODY), (second, other)):
        worker.device.held = True
        poll(worker, "a.wav", body=body)
    for worker, body in ((first, other), (second, BODY)):
        poll(worker, "b.wav", body=body)
        worker.device.held = False
        worker.settle()
    for worker in (first, second):
        worker.settle(seconds=0.2)
        assert tiers(worker) == ["computed", "redis"]


def test_who_comes_again_under_its_slot_waits_for_nobody() -> None:
    shared = MemorySharedTier()
    held_up(shared)
    again = worker_with(shared)
    poll(again, "a.wav")
    assert tiers(again) == ["computed"]


def test_what_failed_may_be_computed_by_others() -> None:
    shared = MemorySharedTier()
    first = worker_with(shared)
    poll(first, "a.wav", body=recording(fail="decode_failed", name="one"))
    assert shared.claims == {}


def test_a_claim_of_one_who_is_gone_ends() -> None:
    shared = MemorySharedTier()
    held_up(shared)
    second = worker_with(shared, "1")
    now = second.clock.monotonic()
    shared.clock = lambda: now + CLAIM_S
    poll(second, "b.wav")
    assert tiers(second) == ["computed"]


def test_without_waiting_nothing_is_claimed() -> None:
    shared = MemorySharedTier()
    worker = worker_with(shared, claim_wait_s=0)
    worker.device.held = True
    poll(worker, "a.wav")
    assert shared.claims == {}


def test_a_tier_that_goes_away_is_not_waited_for() -> None:
    shared = MemorySharedTier()
    held_up(shared)
    second = worker_with(shared, "1")
    second.claims.at_once = False
    poll(second, "b.wav")
    shared.down = True
    second.claims.run()
    second.settle()
    assert tiers(second) == ["computed"]


def test_what_was_archived_is_known_when_the_others_forgot_it() -> None:
    archive = MemoryArchive()
    first = worker_with(MemorySharedTier(), archive=archive)
    poll(first, "a.wav")
    shared = MemorySharedTier()
    second = worker_with(shared, "1", archive)
    poll(second, "b.wav")
    assert tiers(second) == ["archive"]
    third = worker_with(shared, "2", archive)
    poll(third, "c.wav")
    assert tiers(third) == ["redis"]


def test_the_archive_serves_without_a_shared_tier() -> None:
    archive = MemoryArchive()
    poll(worker_with(None, archive=archive), "a.wav")
    second = worker_with(None, archive=archive)
    poll(second, "b.wav")
    assert tiers(second) == ["archive"]


def test_an_archive_that_is_away_costs_the_work_alone() -> None:
    archive = MemoryArchive()
    archive.down = True
    worker = worker_with(None, archive=archive)
    poll(worker, "a.wav")
    assert tiers(worker) == ["computed"]
    assert archive.analyses == {}


def test_an_archive_that_is_slow_takes_no_more_memory_than_it_may() -> None:
    one = MemoryArchive()
    poll(worker_with(None, archive=one), "a.wav")
    size = weight(*one.analyses.values())
    archive = MemoryArchive()
    worker = worker_with(None, archive=archive, archive_waiting_bytes=20 * size)
    worker.archive_writes.at_once = False
    many = MOST_ARCHIVED + 20 + 10
    for number in range(many):
        poll(worker, f"{number}.wav", body=recording(1000, name=number))
    assert len(worker.archive_writes.waiting) == MOST_ARCHIVED
    assert len(worker.results()) == many
    assert worker.metrics.tier_errors[TierFault.BEHIND]._value.get() == 10
    worker.archive_writes.at_once = True
    worker.settle()
    assert len(archive.analyses) == MOST_ARCHIVED + 20
    poll(worker, "last.wav", body=recording(1000, name="last"))  # there is room again
    assert len(archive.analyses) == MOST_ARCHIVED + 21
    assert worker.metrics.tier_errors[TierFault.BEHIND]._value.get() == 10


def test_a_stop_waits_for_no_archive_and_counts_what_it_drops() -> None:
    archive = MemoryArchive()
    worker = worker_with(None, archive=archive)
    worker.archive_writes.at_once = False
    worker.device.held = True
    store_and_poll(worker, MOST_ARCHIVED + 5)
    with capture_logs() as lines:
        worker.pipeline.drain()
        worker.settle()
        assert worker.results() == []
        worker.device.held = False
        worker.settle()
        assert worker.pipeline.idle
        assert behind(worker) == 0  # it has its turn until the last commit
        for _ in range(2):
            worker.pipeline.drain()  # as the runtime does, over and over
            worker.settle()
    assert behind(worker) == 5
    warnings = [(line["event"], line["count"]) for line in lines if line["log_level"] == "warning"]
    assert warnings == [("analyses are not archived: the worker stops", 5)]
    worker.archive_writes.at_once = True
    worker.settle()
    assert len(archive.analyses) == MOST_ARCHIVED


def test_a_stop_of_a_worker_whose_archive_keeps_up_drops_nothing() -> None:
    archive = MemoryArchive()
    worker = worker_with(None, archive=archive)
    store_and_poll(worker, MOST_ARCHIVED + 5)
    worker.pipeline.drain()
    assert behind(worker) == 0
    assert len(archive.analyses) == MOST_ARCHIVED + 5


@pytest.mark.parametrize("where", ["tier_reads", "tier_writes", "claims", "archive_reads", "archive_writes"])
def test_what_nobody_foresaw_ends_the_worker(where: str) -> None:
    worker = worker_with(MemorySharedTier(), archive=MemoryArchive())
    calls = getattr(worker, where)
    calls.at_once = False
    poll(worker, "a.wav")
    key, _ = calls.waiting.popleft()
    calls.submit(key, lambda: 1 / 0)
    calls.at_once = True
    with pytest.raises(FatalError, match="unforeseen"):
        worker.settle()


@pytest.mark.parametrize("knows", ["shared", "archive"])
def test_a_probe_passes_the_tiers_by_however_well_they_know_its_analysis(knows: str) -> None:
    """A fresh worker: what others computed long ago says nothing of the network that this one has."""
    shared = MemorySharedTier() if knows == "shared" else None
    archive = MemoryArchive() if knows == "archive" else None
    poll(worker_with(shared, archive=archive), "a.wav")
    worker = worker_with(shared, "1", archive)
    worker.store.put("recordings", "a.wav", BODY, "audio/wav")
    worker.poll(*(worker.record(b"no avro") for _ in range(worker.settings.brake.in_a_row)))
    worker.settle()
    assert worker.pipeline.held
    worker.newest.records = [worker.record(encode_event("a.wav", event_id="newest"))]
    worker.settle(60)
    assert worker.device.batches == [1]
    assert not worker.pipeline.brake()["on"]
    fresh = worker_with(shared, "2", archive)  # which they do know: it is the probe that does not ask
    poll(fresh, "a.wav")
    assert fresh.device.batches == []
