"""What an event gets that asks for an embedding, and what its neighbours with equal bytes get."""

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from streamproc.errors import Cause
from streamproc.records.embedding import unpack
from streamproc.records.finished import FinishedSegment
from streamproc.records.identity import ARITHMETIC
from streamproc.settings import FlowSettings, Settings, StorageSettings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording, waveform
from streamproc.testing.device import IDENTITY
from streamproc.testing.harness import WorkerHarness
from streamproc.testing.tier import MemoryArchive, MemorySharedTier

BODY = recording(2000, name="same")
LONG = recording(40_000)
RESUMABLE = Settings.model_construct(flow=FlowSettings(drain_s=31))
"""Of which a micro-batch's share is 0.25 s: the fake device is said to need 0.24 s for 15 s."""


@pytest.fixture
def worker() -> WorkerHarness:
    return made(WorkerHarness())


def made(worker: WorkerHarness) -> WorkerHarness:
    worker.assign(0)
    return worker


def send(worker: WorkerHarness, name: str, body: bytes = BODY, **fields: object) -> None:
    worker.store.put("recordings", name, body, "audio/wav")
    worker.poll(worker.record(encode_event(event_id=name, object_key=name, fields=fields)))


def ask(worker: WorkerHarness, name: str, body: bytes = BODY, *more: str, **fields: object) -> None:
    send(worker, name, body, outputs=["embedding", *more], **fields)


def stored(worker: WorkerHarness, uri: object) -> NDArray[np.float32]:
    body = worker.store.holds("recordings", str(uri).removeprefix("s3://recordings/"))
    assert body is not None
    found: NDArray[np.float32] = np.load(io.BytesIO(body), allow_pickle=False)
    return found


def embeddings(worker: WorkerHarness) -> list[NDArray[np.float32]]:
    return [stored(worker, row["embedding_uri"]) for row in worker.results()]


def head(body: bytes, index: int, ms: int) -> NDArray[np.float32]:
    """What the fake network says of one segment."""
    return waveform(body, index, ms)[: IDENTITY.embed_dim]


def test_it_is_stored_before_its_result_is_committed(worker: WorkerHarness) -> None:
    worker.puts.at_once = False
    ask(worker, "a")
    worker.settle()
    assert worker.results() == []
    worker.puts.run()
    worker.settle()
    [row] = worker.results()
    assert str(row["embedding_uri"]).endswith("/embedding.npy")
    [found] = embeddings(worker)
    assert (found.shape, found.dtype) == ((1, 4), np.dtype("<f4"))
    assert found[0].tolist() == head(BODY, 0, 2000).tolist()
    assert row["timeline_uri"] is None


def test_of_a_long_recording_it_is_the_mean_weighted_by_speech(worker: WorkerHarness) -> None:
    ask(worker, "long", LONG)
    worker.settle()
    parts = [head(LONG, index, ms).astype(np.float64) for index, ms in enumerate((15_000, 15_000, 10_000))]
    expected = (15 * parts[0] + 15 * parts[1] + 10 * parts[2]) / 40
    [found] = embeddings(worker)
    assert found[0].tolist() == expected.astype(np.float32).tolist()
    assert found[0].tolist() != np.mean(parts, axis=0).astype(np.float32).tolist()


def test_who_does_not_ask_has_none_and_the_device_is_not_told_to_make_one(worker: WorkerHarness) -> None:
    worker.device.held = True
    send(worker, "a")
    ask(worker, "b", recording(2000, name="other"))
    worker.settle()
    [batch] = worker.device._queue.values()
    assert [item.embedding for item in batch] == [False, True]
    worker.device.held = False
    worker.settle()
    assert [row["embedding_uri"] is None for row in worker.results()] == [True, False]


def test_silence_has_a_row_of_nan_for_each_channel(worker: WorkerHarness) -> None:
    ask(worker, "silent", recording(2000, silent=1))
    worker.settle()
    [row] = worker.results()
    assert row["status"] == "no_speech"
    [found] = embeddings(worker)
    assert found.shape == (1, 4)
    assert np.isnan(found).all()


def test_after_one_that_asked_equal_bytes_are_known_to_everybody(worker: WorkerHarness) -> None:
    ask(worker, "a")
    worker.settle()
    send(worker, "b")
    ask(worker, "c")
    worker.settle()
    assert [row["tier"] for row in worker.results()] == ["computed", "memory", "memory"]
    assert [row["embedding_uri"] is None for row in worker.results()] == [False, True, False]
    assert worker.device.batches == [1]
    first, _, last = worker.results()
    assert first["embedding_uri"] == last["embedding_uri"]


def test_after_one_that_did_not_ask_equal_bytes_are_computed_again_for_who_does(worker: WorkerHarness) -> None:
    send(worker, "a")
    worker.settle()
    ask(worker, "b")
    worker.settle()
    assert [row["tier"] for row in worker.results()] == ["computed", "computed"]
    scores = [{name: value for name, value in row.items() if "score" in name} for row in worker.results()]
    assert scores[0] == scores[1]


def test_both_at_once_are_two_flights(worker: WorkerHarness) -> None:
    send(worker, "a")
    ask(worker, "b")
    send(worker, "c")
    ask(worker, "d")
    worker.settle()
    assert sorted(str(row["tier"]) for row in worker.results()) == ["computed", "computed", "memory", "memory"]
    assert sum(worker.device.batches) == 2


@pytest.mark.parametrize("tier", ["redis", "archive"])
def test_another_worker_takes_it_from_a_shared_tier(tier: str) -> None:
    shared = MemorySharedTier() if tier == "redis" else None
    archive = MemoryArchive() if tier == "archive" else None
    first, second = (made(WorkerHarness(shared=shared, archive=archive)) for _ in range(2))
    ask(first, "a")
    first.settle()
    ask(second, "b")
    second.settle()
    send(second, "c")
    second.settle()
    assert [row["tier"] for row in second.results()] == [tier, tier]
    assert second.device.batches == []
    assert stored(second, second.results()[0]["embedding_uri"]).tolist() == embeddings(first)[0].tolist()


def test_a_tier_that_has_none_where_there_should_be_one_is_no_answer() -> None:
    shared = MemorySharedTier()
    first = made(WorkerHarness(shared=shared))
    ask(first, "a")
    first.settle()
    for key, analysis in shared._analyses.items():
        shared._analyses[key] = analysis.without_embeddings()
    second = made(WorkerHarness(shared=shared))
    ask(second, "b")
    second.settle()
    assert [row["tier"] for row in second.results()] == ["computed"]
    assert embeddings(second)[0].tolist() == embeddings(first)[0].tolist()


def test_its_objects_are_named_by_content_whoever_asked(worker: WorkerHarness) -> None:
    ask(worker, "a", BODY, "timeline")
    send(worker, "b", outputs=["timeline"])
    worker.settle()
    asked, other = worker.results()
    assert asked["timeline_uri"] == other["timeline_uri"]
    folder, _, name = str(asked["timeline_uri"]).rpartition("/")
    assert (name, asked["embedding_uri"]) == ("timeline.json", f"{folder}/embedding.npy")


def test_both_objects_are_stored_before_the_result(worker: WorkerHarness) -> None:
    worker.puts.at_once = False
    ask(worker, "a", BODY, "timeline")
    worker.settle()
    worker.puts.run()
    worker.settle()
    assert worker.results() == []
    worker.store.down = Cause.DENIED
    worker.puts.run()
    worker.settle()
    assert worker.results() == []
    worker.store.down = None
    worker.settle(5)
    worker.puts.run()
    worker.settle()
    [row] = worker.results()
    assert stored(worker, row["embedding_uri"]).shape == (1, 4)
    assert (row["attempts"], worker.pipeline.idle) == (1, True)


def test_a_working_store_that_refuses_it_makes_a_dead_letter() -> None:
    storage = StorageSettings(bucket="read-only", allowed_buckets=("recordings",))
    worker = made(WorkerHarness(Settings.model_construct(storage=storage)))
    ask(worker, "a", BODY, "timeline")
    worker.settle()
    letters = worker.sink.values(worker.settings.topics.dead_letters)
    assert [dict(letter.headers)["sp-reason"] for letter in letters] == [b"access_denied"]
    assert worker.pipeline.idle


def test_where_the_analyzer_has_none_who_asks_is_a_dead_letter_that_says_what_to_do() -> None:
    worker = made(WorkerHarness(identity=replace(IDENTITY, embed_dim=0)))
    ask(worker, "a")
    send(worker, "b", recording(2000, name="other"))
    worker.settle()
    [letter] = worker.sink.values(worker.settings.topics.dead_letters)
    headers = dict(letter.headers)
    assert (headers["sp-reason"], headers["sp-stage"]) == (b"event_invalid", b"admit")
    assert f"fake (streamproc {ARITHMETIC}) has none: announce it without".encode() in (headers["sp-message"] or b"")
    assert [row["event_id"] for row in worker.results()] == ["b"]


def resumed(shared: MemorySharedTier, *outputs: str, computed: int | None = None) -> WorkerHarness:
    worker = made(WorkerHarness(RESUMABLE, shared))
    send(worker, "long", recording(40 * 15_000), outputs=[*outputs])
    while computed is not None and sum(worker.device.batches) < computed:
        assert worker.pipeline.step()
    if computed is None:
        worker.settle()
        assert worker.pipeline.idle
    return worker


def test_a_long_recording_goes_on_with_the_embeddings_of_its_former_owner() -> None:
    shared = MemorySharedTier()
    resumed(shared, "embedding", computed=24)
    successor = resumed(shared, "embedding")
    assert sum(successor.device.batches) < 30
    undisturbed = resumed(MemorySharedTier(), "embedding")
    assert embeddings(successor)[0].tolist() == embeddings(undisturbed)[0].tolist()


def test_what_a_former_owner_kept_without_embeddings_is_not_enough_for_who_asks() -> None:
    shared = MemorySharedTier()
    resumed(shared, "scores", computed=24)
    assert sum(resumed(shared, "embedding").device.batches) == 40


@pytest.mark.parametrize("embedding", [b"", bytes(12), np.full(4, np.nan, np.float32).tobytes()])
def test_a_kept_segment_with_a_wrong_embedding_is_computed_again(embedding: bytes) -> None:
    shared = MemorySharedTier()
    resumed(shared, "embedding", computed=9)
    [(key, kept)] = shared._finished.items()
    assert all(len(unpack(one.embedding)) == 4 for one in kept)
    shared._finished[key] = [FinishedSegment(one.stretch, one.scores, embedding) for one in kept]
    assert sum(resumed(shared, "embedding").device.batches) == 40
