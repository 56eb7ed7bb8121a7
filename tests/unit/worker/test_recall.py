"""What spares a fetch, and that nothing which spares it gives a record another one's result."""

import hashlib
from typing import Literal

import pytest

from streamproc.errors import Cause, FatalError
from streamproc.records.alias import names_of
from streamproc.records.record import TopicPartition
from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import Tags
from streamproc.settings import DedupeSettings, Settings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.testing.tier import MemorySharedTier
from streamproc.worker.core.price import Prices

Trust = Literal["content", "etag", "declared"]
DEAD = "audio.recordings.dlq"
BODY, OTHER = recording(1000, name="one"), recording(1000, name="another")


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def worker_with(trust: Trust, shared: MemorySharedTier | None = None, scope: str = "global") -> WorkerHarness:
    dedupe = DedupeSettings.model_validate({"trust": trust, "scope": scope})
    worker = WorkerHarness(Settings.model_construct(dedupe=dedupe), shared=shared)
    worker.assign(0)
    return worker


def put(worker: WorkerHarness, key: str, body: bytes = BODY) -> Tags:
    return worker.store.put("recordings", key, body, "audio/wav").tags


def forget(worker: WorkerHarness) -> None:
    """Empty what the process itself remembers."""
    worker.near_aliases._hashes.clear()
    worker.near_aliases._bytes = 0
    worker.near._entries.clear()


def poll(worker: WorkerHarness, *announced: tuple[str, dict[str, object]]) -> None:
    """Announce objects by key, with what their events say, in one micro-batch; and work them off."""
    worker.poll(*(worker.record(encode_event(key, fields=fields)) for key, fields in announced))
    worker.settle()


def tiers(worker: WorkerHarness) -> list[object]:
    return [row["tier"] for row in worker.results()]


def contents(worker: WorkerHarness) -> list[object]:
    return [row["content_sha256"] for row in worker.results()]


def test_what_is_known_says_what_it_spared_the_device() -> None:
    worker = worker_with("content")
    put(worker, "a")
    poll(worker, ("a", {}))
    assert worker.metrics.saved_device_seconds.value == 0
    poll(worker, ("a", {}), ("a", {}))
    price = Prices(worker.device.cost, worker.device.most_items).seconds(1000)
    assert price > 0
    assert worker.metrics.saved_device_seconds.value == pytest.approx(2 * price)
    assert worker.metrics.saved_audio_seconds.value == 2


def test_by_default_all_bytes_are_hashed() -> None:
    worker = worker_with("content")
    tags = put(worker, "a.wav")
    said: dict[str, object] = {"etag": tags.etag, "version_id": tags.version_id, "content_sha256": sha(BODY)}
    poll(worker, ("a.wav", said))
    poll(worker, ("a.wav", said))
    assert worker.store.gets == ["a.wav", "a.wav"]
    assert worker.store.heads == []
    assert tiers(worker) == ["computed", "memory"]


@pytest.mark.parametrize("name", ["etag", "version_id"])
def test_an_object_that_was_fetched_is_known_by_its_names(name: str) -> None:
    worker = worker_with("etag")
    tags = put(worker, "a.wav")
    said: dict[str, object] = {name: getattr(tags, name)}
    for _ in range(3):
        poll(worker, ("a.wav", said))
    assert worker.store.gets == ["a.wav"]
    assert worker.store.heads == []
    assert tiers(worker) == ["computed", "memory", "memory"]
    assert set(contents(worker)) == {sha(BODY)}
    assert worker.metrics.fetches_skipped.value == 2


def test_an_event_that_names_no_version_costs_a_head() -> None:
    worker = worker_with("etag")
    put(worker, "a.wav")
    for _ in range(2):
        poll(worker, ("a.wav", {}))
    assert (worker.store.gets, worker.store.heads) == (["a.wav"], ["a.wav", "a.wav"])
    assert tiers(worker) == ["computed", "memory"]


@pytest.mark.parametrize("said", [True, False], ids=["the event says which", "the store is asked"])
def test_an_object_that_was_replaced_has_its_own_result(*, said: bool) -> None:
    worker = worker_with("etag")
    for body in (BODY, OTHER, BODY, OTHER):
        tags = put(worker, "a.wav", body)
        poll(worker, ("a.wav", {"etag": tags.etag} if said else {}))
    assert contents(worker) == [sha(BODY), sha(OTHER), sha(BODY), sha(OTHER)]
    assert tiers(worker) == ["computed", "computed", "memory", "memory"]


def test_the_same_etag_under_another_key_says_nothing() -> None:
    worker = worker_with("etag")
    tags = put(worker, "a.wav")
    put(worker, "b.wav", OTHER)
    poll(worker, ("a.wav", {}))
    poll(worker, ("b.wav", {"etag": tags.etag}))
    assert contents(worker) == [sha(BODY), sha(OTHER)]


def test_a_version_that_is_overwritten_in_place_is_no_name() -> None:
    event = RecordingEvent("e", 0, "recordings", "a.wav")
    assert names_of(event, Tags("abc", "null")) == names_of(event, Tags("abc", None)) == ("recordings\na.wav\neabc",)
    assert names_of(event, Tags(None, "null")) == ()


def test_what_another_worker_fetched_is_known() -> None:
    shared = MemorySharedTier()
    first, second = worker_with("etag", shared), worker_with("etag", shared)
    for worker in (first, second):
        put(worker, "a.wav")
        poll(worker, ("a.wav", {}))
    assert (first.store.gets, second.store.gets) == (["a.wav"], [])
    assert tiers(second) == ["redis"]


def test_an_etag_beside_a_version_says_nothing_of_that_version() -> None:
    """Somebody's slip, or a lie: the ETag is of the bytes that were there before."""
    worker = worker_with("etag")
    old = put(worker, "a.wav")
    poll(worker, ("a.wav", {}))
    new = put(worker, "a.wav", OTHER)
    poll(worker, ("a.wav", {"version_id": new.version_id, "etag": old.etag}))
    assert worker.store.gets == ["a.wav", "a.wav"]
    assert contents(worker)[-1] == sha(OTHER)


def test_what_an_event_says_beside_a_known_name_is_not_learned() -> None:
    worker = worker_with("etag", MemorySharedTier())
    old = put(worker, "a.wav")
    poll(worker, ("a.wav", {}))
    forget(worker)
    new = put(worker, "a.wav", OTHER)
    poll(worker, ("a.wav", {"version_id": old.version_id, "etag": new.etag}))
    poll(worker, ("a.wav", {"etag": new.etag}))
    assert contents(worker)[-1] == sha(OTHER)


def test_without_the_shared_tier_all_is_fetched() -> None:
    shared = MemorySharedTier()
    poll_first = worker_with("etag", shared)
    put(poll_first, "a.wav")
    poll(poll_first, ("a.wav", {}))
    shared.down = True
    worker = worker_with("etag", shared)
    put(worker, "a.wav")
    poll(worker, ("a.wav", {}))
    assert (worker.store.gets, tiers(worker)) == (["a.wav"], ["computed"])


def test_a_declared_hash_is_taken_for_the_bytes() -> None:
    worker = worker_with("declared")
    put(worker, "a.wav")
    put(worker, "b.wav")
    poll(worker, ("a.wav", {"content_sha256": sha(BODY)}))
    poll(worker, ("b.wav", {"content_sha256": sha(BODY)}), ("b.wav", {}))
    assert worker.store.gets == ["a.wav", "b.wav"]
    assert tiers(worker) == ["computed", "memory", "memory"]


def test_a_hash_that_nobody_knows_is_checked_when_it_is_fetched() -> None:
    worker = worker_with("declared")
    put(worker, "a.wav")
    poll(worker, ("a.wav", {"content_sha256": sha(OTHER)}))
    (letter,) = worker.sink.values(DEAD)
    assert dict(letter.headers)["sp-reason"] == b"hash_mismatch"


def test_one_tenant_hears_nothing_of_another_s() -> None:
    worker = worker_with("declared", scope="tenant")
    put(worker, "a.wav")
    for tenant in ("one", "two", "one"):
        poll(worker, ("a.wav", {"content_sha256": sha(BODY), "tenant": tenant}))
    assert tiers(worker) == ["computed", "computed", "memory"]
    assert worker.store.gets == ["a.wav", "a.wav"]


def test_many_that_are_not_known_yet_are_computed_once() -> None:
    worker = worker_with("declared", MemorySharedTier())
    put(worker, "a.wav")
    said: dict[str, object] = {"content_sha256": sha(BODY)}
    poll(worker, *[("a.wav", said)] * 5)
    assert sorted(map(str, tiers(worker))) == ["computed", *["memory"] * 4]
    assert len(worker.device.batches) == 1


def test_who_has_the_bytes_leads() -> None:
    worker = worker_with("declared", MemorySharedTier())
    put(worker, "a.wav")
    poll(worker, ("a.wav", {"content_sha256": sha(BODY)}), ("a.wav", {}), ("a.wav", {"content_sha256": sha(BODY)}))
    assert sorted(map(str, tiers(worker))) == ["computed", "memory", "memory"]
    assert len(worker.device.batches) == 1


def test_an_object_that_cannot_be_asked_about_is_fetched() -> None:
    worker = worker_with("etag")
    poll(worker, ("a.wav", {}))
    assert (worker.store.heads, worker.store.gets) == (["a.wav"], ["a.wav"])


def test_a_store_that_is_down_is_not_asked_about_objects() -> None:
    worker = worker_with("etag")
    put(worker, "a.wav")
    worker.store.down = Cause.CONNECTION
    poll(worker, ("a.wav", {}))
    poll(worker, ("a.wav", {}))
    assert worker.store.heads == ["a.wav"]
    worker.store.down = None
    worker.settle(seconds=60)
    assert len(worker.results()) == 2


@pytest.mark.parametrize("where", ["heads", "alias_reads", "tier_reads"])
def test_a_record_that_is_lost_on_its_way_holds_nobody_up(where: str) -> None:
    worker = worker_with("etag", MemorySharedTier())
    put(worker, "a.wav")
    poll(worker, ("a.wav", {}))
    forget(worker)
    calls = getattr(worker, where)
    calls.at_once = False
    poll(worker, ("a.wav", {}))
    place = TopicPartition("audio.recordings", 0)
    worker.pipeline.lose([place])
    calls.at_once = True
    worker.assign(1)
    worker.poll(worker.record(encode_event("a.wav"), 1))
    worker.settle()
    assert len(worker.results()) == 2
    assert worker.pipeline.idle


@pytest.mark.parametrize("where", ["heads", "alias_reads", "alias_writes"])
def test_what_nobody_foresaw_ends_the_worker(where: str) -> None:
    worker = worker_with("etag", MemorySharedTier())
    put(worker, "a.wav")
    calls = getattr(worker, where)
    calls.at_once = False
    poll(worker, ("a.wav", {}))
    key, _ = calls.waiting.popleft()
    calls.submit(key, lambda: 1 / 0)
    calls.at_once = True
    with pytest.raises(FatalError, match="unforeseen"):
        worker.settle()
