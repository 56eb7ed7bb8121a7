import base64
import hashlib
import json

import numpy as np
import pytest
from structlog.testing import capture_logs

from streamproc.errors import AbortedError, Cause, FatalError
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import BrakeSettings, DedupeSettings, FlowSettings, Settings, StorageSettings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.testing.tier import MemorySharedTier
from streamproc.worker.core.retry import Polled

IN = "audio.recordings"
DEAD = "audio.recordings.dlq"
SOON = "audio.recordings.retry.10s"
LATER = "audio.recordings.retry.5m"


@pytest.fixture
def worker() -> WorkerHarness:
    harness = WorkerHarness()
    harness.assign(0, 1)
    harness.assign(0, topic=SOON)
    harness.assign(0, topic=LATER)
    return harness


def put(worker: WorkerHarness, key: str, body: bytes | None = None, **fields: object) -> bytes:
    worker.store.put("recordings", key, body if body is not None else recording(1000, name=key), "audio/wav")
    return encode_event(event_id=key, object_key=key, fields=fields)


def header(record_headers: object, name: str) -> bytes:
    assert isinstance(record_headers, tuple)
    return dict(record_headers)[name]  # type: ignore[no-any-return]


def test_a_recording_becomes_one_result_and_its_offset_is_committed(worker: WorkerHarness) -> None:
    worker.poll(worker.record(put(worker, "a.wav", call_id="c7")))
    worker.settle()
    (row,) = worker.results()
    assert (row["event_id"], row["status"], row["tier"], row["call_id"]) == ("a.wav", "ok", "computed", "c7")
    assert sum(float(str(row[f"score_{label}"])) for label in ("angry", "happy", "neutral", "sad")) == pytest.approx(1)
    assert (row["input_topic"], row["input_partition"], row["input_offset"]) == (IN, 0, 0)
    assert worker.position() == 1
    assert worker.pipeline.idle
    assert worker.arena.free == worker.arena.slots


def test_one_transaction_holds_results_dead_letters_ledger_and_offsets(worker: WorkerHarness) -> None:
    good = worker.record(put(worker, "a.wav"))
    bad = worker.record(b"not avro")
    worker.poll(good, bad)
    worker.settle()
    assert len(worker.sink.transactions) == 1
    (entry,) = worker.ledger()
    assert (entry["results"], entry["dead_letters"], entry["retries"]) == (1, 1, 0)
    assert (entry["first_offset"], entry["last_offset"]) == (0, 1)
    (dead,) = worker.sink.values(DEAD)
    assert (dead.value, dead.key) == (bad.value, bad.key)
    assert header(dead.headers, "sp-reason") == b"avro_invalid"
    assert worker.position() == 2


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, b"event_invalid"),
        (b"1:{", b"avro_invalid"),
        (encode_event(schema=9, object_key="a"), b"schema_unknown"),
        (encode_event(object_key="a", fields={"bucket": "secrets"}), b"bucket_forbidden"),
        (encode_event(object_key="../a"), b"key_invalid"),
        (encode_event(object_key="/a"), b"key_invalid"),
        (encode_event(object_key="a//b"), b"key_invalid"),
        (encode_event(object_key="http://169.254.169.254/x"), b"key_invalid"),
        (encode_event(object_key="a\r\nb"), b"key_invalid"),
        (encode_event(object_key="a\0b"), b"key_invalid"),
        (encode_event(object_key="a\n"), b"key_invalid"),
        (encode_event(object_key=""), b"key_invalid"),
        (encode_event(object_key="a" * 513), b"key_invalid"),
        (encode_event(object_key="a", fields={"channels": "left"}), b"event_invalid"),
        (encode_event(object_key="a", fields={"outputs": ["transcript"]}), b"event_invalid"),
        (encode_event(object_key="a", fields={"size_bytes": -1}), b"event_invalid"),
        (encode_event(object_key="a", fields={"content_sha256": "AB"}), b"event_invalid"),
        (encode_event(object_key="a", fields={"size_bytes": 300 * 1024**2}), b"object_too_large"),
        (encode_event(object_key="a", fields={"duration_ms": 5 * 3600 * 1000}), b"audio_too_long"),
    ],
)
def test_a_bad_event_is_a_dead_letter_before_anything_is_fetched(
    worker: WorkerHarness, value: bytes | None, reason: bytes
) -> None:
    worker.poll(worker.record(value), worker.record(put(worker, "good.wav")))
    worker.settle()
    (dead,) = worker.sink.values(DEAD)
    assert dead.value == value
    assert header(dead.headers, "sp-reason") == reason
    assert worker.store.gets == ["good.wav"]
    assert len(worker.results()) == 1


def test_headers_over_the_cap_are_a_dead_letter_with_the_headers_intact(worker: WorkerHarness) -> None:
    headers = (("big", b"x" * 1_000_000), ("none", None))
    worker.poll(worker.record(put(worker, "a.wav"), headers=headers))
    worker.settle()
    (dead,) = worker.sink.values(DEAD)
    assert dead.headers[:2] == headers
    assert header(dead.headers, "sp-reason") == b"headers_too_large"


def test_repeats_in_one_micro_batch_are_computed_once(worker: WorkerHarness) -> None:
    body = recording(2000, name="same")
    values = [put(worker, f"{i}.wav", body) for i in range(5)]
    worker.poll(*[worker.record(value) for value in values])
    worker.settle()
    assert worker.decoders.decoded == [body]
    assert [row["tier"] for row in worker.results()] == ["computed", "memory", "memory", "memory", "memory"]
    worker.poll(worker.record(values[0]))
    worker.settle()
    assert worker.results()[-1]["tier"] == "memory"
    assert len(worker.decoders.decoded) == 1


def test_a_repeat_whose_leader_was_lost_is_computed_by_the_one_that_waits(worker: WorkerHarness) -> None:
    body = recording(2000, name="same")
    worker.decoders.held = True
    worker.poll(worker.record(put(worker, "a.wav", body), 0), worker.record(put(worker, "b.wav", body), 1))
    worker.settle()
    worker.ownership.drop([TopicPartition(IN, 0)])
    worker.pipeline.lose([TopicPartition(IN, 0)])
    worker.decoders.held = False
    worker.settle()
    assert [row["event_id"] for row in worker.results()] == ["b.wav"]
    assert worker.position(0) is None
    assert worker.position(1) == 1


def test_silence_and_blips_are_results_without_a_label(worker: WorkerHarness) -> None:
    worker.poll(
        worker.record(put(worker, "quiet.wav", recording(3000, silent=True))),
        worker.record(put(worker, "blip.wav", recording(10))),
    )
    worker.settle()
    assert [(r["status"], r["label"], r["speech_ms"]) for r in worker.results()] == [
        ("no_speech", None, 0),
        ("too_short", None, 0),
    ]
    assert worker.device.batches == []


def test_a_recording_is_decoded_three_batches_ahead_of_the_device_and_no_further() -> None:
    worker = WorkerHarness(arena_slots=100)
    worker.assign(0)
    worker.device.held = True
    worker.poll(worker.record(put(worker, "hours.wav", recording(15_000 * 90))))
    worker.settle()
    assert worker.arena.slots - worker.arena.free == 3 * worker.device.most_items(15 * 16_000)
    worker.device.held = False
    worker.settle()
    assert worker.results()[0]["segment_count"] == 90
    assert worker.arena.free == worker.arena.slots


def test_an_older_recording_that_waits_for_a_decoder_lets_younger_ones_be_decoded_to_their_end() -> None:
    worker = WorkerHarness(arena_slots=100)
    worker.assign(0)
    worker.device.held, worker.fetches.at_once = True, False
    long = [put(worker, name, recording(15_000 * 20, name=name)) for name in ("b", "c")]
    worker.poll(*map(worker.record, (put(worker, "a"), *long)))
    worker.settle()
    worker.fetches.run(1)
    worker.fetches.run(1)
    worker.settle()
    ahead = 3 * worker.device.most_items(15 * 16_000)
    assert worker.arena.slots - worker.arena.free == 2 * ahead
    worker.fetches.run()
    worker.settle()
    assert worker.arena.slots - worker.arena.free == 20 + 20 + 1
    worker.device.held = False
    worker.settle()
    assert [row["event_id"] for row in worker.results()] == ["a", "b", "c"]


def test_long_audio_is_cut_and_aggregated_by_speech(worker: WorkerHarness) -> None:
    worker.poll(worker.record(put(worker, "long.wav", recording(40_000), outputs=["scores", "segments"])))
    worker.settle()
    segments = [json.loads(o.value or b"") for o in worker.sink.values("emotion.segments")]
    assert [(s["start_ms"], s["end_ms"]) for s in segments] == [(0, 15_000), (15_000, 30_000), (30_000, 40_000)]
    expected = sum(s["score_angry"] * (s["end_ms"] - s["start_ms"]) for s in segments) / 40_000
    (row,) = worker.results()
    assert row["score_angry"] == pytest.approx(expected)
    assert (row["segment_count"], row["speech_ms"]) == (3, 40_000)


def test_recordings_longer_than_the_arena_flow_through_it(worker: WorkerHarness) -> None:
    seconds = 15 * (worker.arena.slots * 3)
    worker.poll(worker.record(put(worker, "long.wav", recording(1000 * seconds))))
    worker.settle()
    assert worker.results()[0]["segment_count"] == worker.arena.slots * 3
    assert worker.arena.free == worker.arena.slots


def test_a_decode_failure_is_a_dead_letter_and_harms_no_neighbour(worker: WorkerHarness) -> None:
    worker.poll(
        worker.record(put(worker, "a.wav")),
        worker.record(put(worker, "bad.wav", json.dumps({"fail": "format_unsupported"}).encode())),
        worker.record(put(worker, "b.wav")),
    )
    worker.settle()
    assert [row["event_id"] for row in worker.results()] == ["a.wav", "b.wav"]
    (dead,) = worker.sink.values(DEAD)
    assert header(dead.headers, "sp-reason") == b"format_unsupported"
    assert header(dead.headers, "sp-stage") == b"prepare"


def test_scores_that_are_not_finite_fail_their_recording_alone(worker: WorkerHarness) -> None:
    bodies = [recording(1000, name=str(i)) for i in range(4)]
    worker.poll(*[worker.record(put(worker, f"{i}.wav", body)) for i, body in enumerate(bodies)])
    # The first sample of the second recording's waveform, as the fake decoder makes it.
    worker.device.poisoned = {float(np.float32(hashlib.sha256(bodies[1] + b"\0").digest()[0]) / np.float32(255))}
    worker.settle()
    assert [row["event_id"] for row in worker.results()] == ["0.wav", "2.wav", "3.wav"]
    (dead,) = worker.sink.values(DEAD)
    assert header(dead.headers, "sp-reason") == b"model_failed"
    assert worker.arena.free == worker.arena.slots


def test_a_missing_object_waits_on_a_lane_while_young_and_is_dead_when_old(worker: WorkerHarness) -> None:
    event = encode_event(event_id="e", object_key="missing.wav")
    worker.poll(worker.record(event), worker.record(event, age_s=3600))
    worker.settle()
    (retry,) = worker.sink.values(SOON)
    assert retry.value == event
    assert header(retry.headers, "sp-attempts") == b"1"
    assert header(retry.headers, "sp-origin-offset") == b"0"
    (dead,) = worker.sink.values(DEAD)
    assert header(dead.headers, "sp-reason") == b"object_missing"
    assert worker.ledger()[0]["retries"] == 1


def again(worker: WorkerHarness, topic: str) -> Record:
    last = worker.sink.values(topic)[-1]
    return worker.record(last.value, topic=topic, key=last.key, headers=last.headers)


def test_a_lane_record_waits_until_it_is_due_and_then_succeeds(worker: WorkerHarness) -> None:
    worker.poll(worker.record(encode_event(event_id="late", object_key="late.wav")))
    worker.settle()
    worker.poll(again(worker, SOON))
    worker.settle(9)
    assert worker.pipeline.not_due == {TopicPartition(SOON, 0)}
    put(worker, "late.wav")
    worker.settle(2)
    (row,) = worker.results()
    assert (row["attempts"], row["input_topic"], row["input_offset"]) == (2, IN, 0)
    assert worker.position(0, SOON) == 1
    assert worker.pipeline.not_due == frozenset()


def test_nobody_waits_behind_a_longer_delay_and_the_input_flows(worker: WorkerHarness) -> None:
    def on(lane: str, name: str) -> Record:
        before = WorkerHarness()
        before.assign(0)
        before.store.failing = {name: Cause.SERVER_ERROR}
        before.poll(before.record(put(before, name)))
        before.settle()
        [moved] = before.sink.values(SOON)
        put(worker, name)
        return worker.record(moved.value, topic=lane, headers=moved.headers)

    worker.poll(on(LATER, "later.wav"), on(SOON, "soon.wav"), worker.record(put(worker, "a.wav")))
    worker.settle()
    assert [row["event_id"] for row in worker.results()] == ["a.wav"]
    assert worker.pipeline.not_due == {TopicPartition(SOON, 0), TopicPartition(LATER, 0)}
    worker.settle(10)
    assert [row["event_id"] for row in worker.results()] == ["a.wav", "soon.wav"]
    worker.poll(worker.record(put(worker, "b.wav")))
    worker.settle(290)
    assert [row["event_id"] for row in worker.results()] == ["a.wav", "soon.wav", "b.wav", "later.wav"]


def test_retries_end_as_a_dead_letter_after_three_tries_on_each_lane(worker: WorkerHarness) -> None:
    worker.store.failing["sick.wav"] = Cause.SERVER_ERROR
    worker.poll(worker.record(put(worker, "sick.wav"), headers=(("mine", b"1"),)))
    worker.settle()
    lanes = []
    for _ in range(6):
        topic = max((SOON, LATER), key=lambda t: int(dict_attempts(worker, t)))
        lanes.append(topic)
        worker.poll(again(worker, topic))
        worker.settle(301)
    assert lanes == [SOON] * 3 + [LATER] * 3
    (dead,) = worker.sink.values(DEAD)
    assert header(dead.headers, "sp-reason") == b"retries_exhausted"
    assert header(dead.headers, "sp-attempts") == b"7"
    assert [name for name, _ in dead.headers].count("sp-attempts") == 1
    assert dead.headers[0] == ("mine", b"1")


def dict_attempts(worker: WorkerHarness, topic: str) -> bytes:
    values = worker.sink.values(topic)
    return header(values[-1].headers, "sp-attempts") if values else b"0"


def test_attempts_claimed_by_a_producer_are_not_believed(worker: WorkerHarness) -> None:
    worker.store.failing["sick.wav"] = Cause.SERVER_ERROR
    worker.poll(worker.record(put(worker, "sick.wav"), headers=(("sp-attempts", b"99"),)))
    worker.settle()
    (retry,) = worker.sink.values(SOON)
    assert retry.headers[-1][0] == "sp-version"
    assert header(retry.headers, "sp-attempts") == b"1"


def test_a_store_that_is_down_is_waited_for_and_costs_no_attempts(worker: WorkerHarness) -> None:
    values = [put(worker, f"{i}.wav") for i in range(20)]
    worker.store.down = Cause.CONNECTION
    worker.poll(*[worker.record(value) for value in values])
    for _ in range(100):
        worker.settle(5)
    assert worker.pipeline.store_down
    assert worker.sink.transactions == []
    worker.store.down = None
    worker.settle(31)
    assert len(worker.results()) == 20
    assert {row["attempts"] for row in worker.results()} == {1}
    assert not worker.sink.values(SOON)
    assert not worker.sink.values(DEAD)


def test_a_refusal_is_the_records_fault_only_while_the_canary_sings(worker: WorkerHarness) -> None:
    worker.store.failing["secret.wav"] = Cause.DENIED
    worker.poll(worker.record(put(worker, "secret.wav")))
    worker.settle()
    (dead,) = worker.sink.values(DEAD)
    assert header(dead.headers, "sp-reason") == b"access_denied"


@pytest.mark.parametrize(
    ("fields", "reason"), [({"size_bytes": 1}, b"length_mismatch"), ({"content_sha256": "0" * 64}, b"hash_mismatch")]
)
def test_bytes_other_than_declared_are_a_dead_letter(
    worker: WorkerHarness, fields: dict[str, object], reason: bytes
) -> None:
    put(worker, "a.wav")
    worker.poll(worker.record(encode_event(object_key="a.wav", fields=fields)))
    worker.settle()
    (dead,) = worker.sink.values(DEAD)
    assert header(dead.headers, "sp-reason") == reason


def test_an_aborted_transaction_is_produced_again_before_anything_later(worker: WorkerHarness) -> None:
    worker.sink.aborts = 2
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.poll(worker.record(put(worker, "b.wav")))
    for _ in range(5):
        worker.settle(1)
    assert [row["event_id"] for row in worker.results()] == ["a.wav", "b.wav"]
    assert worker.position() == 2


def outlast(worker: WorkerHarness) -> None:
    for _ in range(20):
        worker.settle(5)


def test_aborts_without_end_are_fatal() -> None:
    worker = WorkerHarness(Settings(flow=FlowSettings(produce_again=3)))
    worker.assign(0)
    worker.sink.aborts = 10
    worker.poll(worker.record(put(worker, "a.wav")))
    with pytest.raises(FatalError, match="aborted 4 times"):
        outlast(worker)


def test_a_commit_that_never_answers_is_fatal(worker: WorkerHarness) -> None:
    worker.commits.at_once = False
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.settle(70)
    with pytest.raises(FatalError, match="not answered a commit"):
        worker.settle(1)


def test_nothing_of_a_lost_partition_is_committed(worker: WorkerHarness) -> None:
    worker.commits.at_once = False
    worker.poll(worker.record(put(worker, "a.wav"), 0), worker.record(put(worker, "b.wav"), 1))
    worker.settle()
    worker.ownership.drop([TopicPartition(IN, 0)])
    worker.pipeline.lose([TopicPartition(IN, 0)])
    worker.commits.at_once = True
    worker.settle()
    assert [row["event_id"] for row in worker.results()] == ["b.wav"]
    assert worker.position(0) is None
    assert worker.position(1) == 1


def test_a_partition_that_came_back_is_not_committed_under_its_old_epoch(worker: WorkerHarness) -> None:
    worker.commits.at_once = False
    worker.poll(worker.record(put(worker, "a.wav"), 0))
    worker.settle()
    worker.ownership.drop([TopicPartition(IN, 0)])
    worker.assign(0)
    worker.commits.at_once = True
    worker.settle()
    assert worker.sink.transactions == []
    worker.poll(worker.record(put(worker, "a.wav"), 0, offset=0))
    worker.settle()
    assert worker.position(0) == 1
    assert len(worker.results()) == 1


def timelines(worker: WorkerHarness) -> list[bytes | None]:
    bucket = worker.settings.storage.bucket
    uris = [str(row["timeline_uri"]) for row in worker.results()]
    assert all(uri.startswith(f"s3://{bucket}/analyses/") for uri in uris)
    return [worker.store.holds(bucket, uri.removeprefix(f"s3://{bucket}/")) for uri in uris]


def test_a_timeline_is_stored_before_its_result_is_committed(worker: WorkerHarness) -> None:
    worker.puts.at_once = False
    worker.poll(worker.record(put(worker, "long.wav", recording(40_000), outputs=["timeline"])))
    worker.settle()
    assert worker.results() == []
    worker.puts.run()
    worker.settle()
    [stored] = timelines(worker)
    assert stored is not None
    said = json.loads(stored)
    assert (said["version"], said["duration_ms"]) == (1, 40_000)
    assert [(s["start_ms"], s["end_ms"], len(s["scores"])) for s in said["segments"]] == [
        (0, 15_000, 4),
        (15_000, 30_000, 4),
        (30_000, 40_000, 4),
    ]
    assert not worker.sink.values("emotion.segments")
    assert worker.position() == 1


def test_a_timeline_that_is_gone_is_stored_again_for_who_asks_again(worker: WorkerHarness) -> None:
    body = recording(2000, name="same")
    worker.poll(worker.record(put(worker, "a.wav", body, outputs=["timeline"])))
    worker.settle()
    [first] = timelines(worker)
    [row] = worker.results()
    worker.store.remove("recordings", str(row["timeline_uri"]).removeprefix("s3://recordings/"))
    worker.poll(worker.record(put(worker, "b.wav", body, outputs=["timeline"])))
    worker.settle()
    assert [row["tier"] for row in worker.results()] == ["computed", "memory"]
    assert timelines(worker) == [first, first]
    assert first is not None


def test_who_asks_for_no_timeline_has_none(worker: WorkerHarness) -> None:
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.settle()
    assert worker.results()[0]["timeline_uri"] is None


def test_tenants_do_not_share_a_timeline_where_they_share_nothing() -> None:
    worker = WorkerHarness(Settings.model_construct(dedupe=DedupeSettings(scope="tenant")))
    worker.assign(0)
    body = recording(2000, name="same")
    worker.poll(*[worker.record(put(worker, n, body, outputs=["timeline"], tenant=f"t:{n}")) for n in "ab"])
    worker.settle()
    assert len({row["timeline_uri"] for row in worker.results()}) == 2
    assert None not in timelines(worker)


def test_without_a_store_a_timeline_waits_and_spends_no_attempt(worker: WorkerHarness) -> None:
    worker.device.held = True
    worker.poll(worker.record(put(worker, "a.wav", outputs=["timeline"])))
    worker.settle()
    worker.store.down = Cause.DENIED
    worker.device.held = False
    with capture_logs() as said:
        worker.settle(5)
    assert {line["event"] for line in said} == {"an object waits for the store"}
    assert worker.results() == []
    worker.store.down = None
    worker.settle(5)
    assert worker.results()[0]["attempts"] == 1
    assert None not in timelines(worker)


def test_a_timeline_that_a_working_store_refuses_is_a_dead_letter() -> None:
    storage = StorageSettings(bucket="read-only", allowed_buckets=("recordings",))
    worker = WorkerHarness(Settings.model_construct(storage=storage))
    worker.assign(0)
    worker.poll(worker.record(put(worker, "a.wav", outputs=["timeline"])), worker.record(put(worker, "b.wav")))
    worker.settle()
    (dead,) = worker.sink.values(DEAD)
    assert (header(dead.headers, "sp-reason"), header(dead.headers, "sp-stage")) == (b"access_denied", b"assemble")
    assert [row["event_id"] for row in worker.results()] == ["b.wav"]


def test_a_timeline_that_comes_after_its_record_was_lost_settles_nothing(worker: WorkerHarness) -> None:
    worker.puts.at_once = False
    worker.poll(worker.record(put(worker, "a.wav", outputs=["timeline"])))
    worker.settle()
    worker.pipeline.lose([TopicPartition(IN, 0)])
    worker.puts.run()
    worker.settle()
    assert worker.results() == []
    assert worker.pipeline.idle


def test_a_revoke_keeps_what_is_on_the_device_and_leaves_out_the_rest(worker: WorkerHarness) -> None:
    worker.device.held = True
    worker.poll(worker.record(put(worker, "a.wav"), 0))
    worker.settle()
    worker.fetches.at_once = False
    worker.poll(worker.record(put(worker, "b.wav"), 0), worker.record(put(worker, "c.wav"), 1))
    worker.settle()
    gone = [TopicPartition(IN, 0)]
    worker.pipeline.revoke(gone)
    assert not worker.pipeline.settled(gone)
    worker.device.held = False
    worker.settle()
    assert worker.pipeline.settled(gone)
    assert worker.position(0) == 1
    worker.fetches.at_once = True
    worker.settle()
    assert [row["event_id"] for row in worker.results()] == ["a.wav", "c.wav"]
    assert worker.position(0) == 1


def test_a_revoke_does_not_wait_for_what_is_done_behind_a_micro_batch_that_is_not(worker: WorkerHarness) -> None:
    worker.fetches.at_once = False
    worker.poll(worker.record(put(worker, "a.wav"), 0))
    worker.settle()
    worker.poll(worker.record(b"bad", 1))
    worker.settle()
    gone = [TopicPartition(IN, 1)]
    worker.pipeline.revoke(gone)
    worker.settle()
    assert worker.pipeline.settled(gone)
    worker.fetches.at_once = True
    worker.settle()
    assert worker.position(0) == 1
    assert worker.position(1) is None


def test_what_is_fetched_for_a_lost_record_is_in_flight_until_it_is_here() -> None:
    worker = WorkerHarness()
    worker.assign(0)
    worker.fetches.at_once = False
    worker.poll(worker.record(put(worker, "a.wav")))
    worker.settle()
    held = worker.pipeline.in_flight["bytes"]
    assert held > 0
    worker.ownership.drop([TopicPartition(IN, 0)])
    worker.pipeline.lose([TopicPartition(IN, 0)])
    worker.settle()
    assert worker.pipeline.in_flight["bytes"] == held
    worker.fetches.at_once = True
    worker.settle()
    assert worker.pipeline.in_flight["bytes"] == 0


def test_a_revoke_leaves_out_what_is_on_the_device_behind_a_record_that_is_left_out(worker: WorkerHarness) -> None:
    worker.device.held, worker.fetches.at_once = True, False
    worker.poll(worker.record(put(worker, "a.wav"), 0))
    worker.poll(worker.record(put(worker, "b.wav"), 0))
    worker.settle()
    worker.fetches.run(1)  # the later one's
    worker.settle()
    assert worker.device.waiting == 1
    gone = [TopicPartition(IN, 0)]
    worker.pipeline.revoke(gone)
    worker.settle()
    assert worker.pipeline.settled(gone)
    worker.device.held, worker.fetches.at_once = False, True
    worker.settle()
    assert worker.sink.transactions == []
    assert worker.pipeline.idle


def test_a_record_delivered_twice_in_one_assignment_is_taken_once(worker: WorkerHarness) -> None:
    record = worker.record(put(worker, "a.wav"))
    worker.poll(record)
    worker.poll(record)
    worker.settle()
    assert len(worker.results()) == 1


def test_a_device_that_dies_computes_its_batches_again(worker: WorkerHarness) -> None:
    worker.device.held = True
    worker.poll(*[worker.record(put(worker, f"{i}.wav")) for i in range(6)])
    worker.settle()
    worker.device.die()
    worker.device.held = False
    worker.settle()
    assert len(worker.results()) == 6
    assert worker.arena.free == worker.arena.slots


def test_a_recording_whose_decoder_is_killed_goes_to_another(worker: WorkerHarness) -> None:
    worker.decoders.held = True
    worker.poll(worker.record(put(worker, "a.wav")), worker.record(put(worker, "b.wav")))
    worker.settle()
    worker.decoders.die(1)
    worker.decoders.held = False
    worker.settle()
    assert [row["event_id"] for row in worker.results()] == ["a.wav", "b.wav"]
    assert [row["attempts"] for row in worker.results()] == [1, 1]
    assert worker.arena.free == worker.arena.slots


def test_an_unknown_schema_is_asked_for_and_a_registry_that_is_down_is_waited_for(worker: WorkerHarness) -> None:
    worker.events.registered.add(2)
    worker.events.down = True
    put(worker, "a.wav")
    worker.poll(worker.record(encode_event(schema=2, event_id="a", object_key="a.wav")))
    worker.poll(worker.record(put(worker, "b.wav"), 1))
    for _ in range(10):
        worker.settle(2)
    assert worker.sink.transactions == []
    worker.events.down = False
    worker.settle(2)
    assert [row["event_id"] for row in worker.results()] == ["a", "b.wav"]


def test_a_forgotten_refusal_is_asked_for_again(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgotten between two questions, as when another thread resolves the one id too many."""
    known, forget = worker.events.known, [True, True]

    def known_for_a_moment(value: bytes) -> bool:
        answer = known(value)
        if answer and worker.events._refused and forget:
            forget.pop()
            worker.events._refused.clear()
        return answer

    monkeypatch.setattr(worker.events, "known", known_for_a_moment)
    worker.poll(worker.record(encode_event(schema=9, object_key="a")), worker.record(put(worker, "good.wav")))
    worker.settle()
    assert not forget
    (dead,) = worker.sink.values(DEAD)
    assert header(dead.headers, "sp-reason") == b"schema_unknown"
    assert [row["event_id"] for row in worker.results()] == ["good.wav"]
    assert worker.position() == 2


def test_weight_bounds_what_is_fetched_ahead() -> None:
    worker = WorkerHarness(Settings(flow=FlowSettings(in_flight_audio_s=100)))
    worker.assign(0)
    worker.decoders.held = True
    values = [put(worker, f"{i}.wav", recording(60_000, name=i), duration_ms=60_000) for i in range(4)]
    worker.poll(*[worker.record(value) for value in values])
    worker.settle()
    assert worker.store.gets == ["0.wav"]
    worker.decoders.held = False
    worker.settle()
    assert len(worker.results()) == 4
    assert len(worker.sink.transactions) == 4


def test_every_micro_batch_writes_one_canonical_line(worker: WorkerHarness) -> None:
    with capture_logs() as lines:
        late = (worker.record(encode_event(event_id=name, object_key=name)) for name in ("b.wav", "c.wav"))
        worker.poll(worker.record(put(worker, "a.wav")), worker.record(b"bad"), *late)
        worker.settle()
    (line,) = [line for line in lines if line["event"] == "micro-batch committed"]
    assert (line["records"], line["results"], line["dead_letters"], line["dropped"]) == (4, 1, 1, 0)
    assert (line["retries"], line["retry_reasons"]) == (2, {"object_missing": 2})
    retries = [line for line in lines if line["event"] == "retry"]
    assert [(line["log_level"], line["offset"], line["attempt"], line["stage"]) for line in retries] == [
        ("debug", 2, 1, "fetch"),
        ("debug", 3, 1, "fetch"),
    ]


def test_a_row_that_no_topic_takes_is_a_dead_letter(worker: WorkerHarness) -> None:
    worker.poll(worker.record(put(worker, "a.wav", attributes={"note": "x" * 200_000})))
    worker.settle()
    (dead,) = worker.sink.values(DEAD)
    assert (header(dead.headers, "sp-reason"), header(dead.headers, "sp-stage")) == (b"avro_invalid", b"assemble")


def test_a_record_too_large_for_any_topic_is_kept_in_the_store_and_pointed_to(worker: WorkerHarness) -> None:
    value = b"1:" + b"x" * 3_000_000
    worker.store.down = Cause.CONNECTION
    worker.poll(worker.record(value, headers=(("mine", b"\xff"),)))
    worker.settle(5)
    assert worker.sink.transactions == []
    worker.store.down = None
    worker.settle(5)
    (dead,) = worker.sink.values(DEAD)
    assert (dead.key, dead.value) == (b"call-1", None)
    assert header(dead.headers, "sp-reason") == b"event_invalid"
    assert header(dead.headers, "sp-record-uri") == b"s3://recordings/dead-letters/audio.recordings/0/0.json"
    kept = json.loads(worker.store.get("recordings", "dead-letters/audio.recordings/0/0.json", None, 10**8).body)
    assert base64.b64decode(kept["value"]) == value
    assert [(name, base64.b64decode(held)) for name, held in kept["headers"]] == [("mine", b"\xff")]


def test_a_shared_tier_gives_what_another_worker_computed_and_its_loss_costs_only_work() -> None:
    shared = MemorySharedTier()
    first = WorkerHarness(shared=shared)
    first.assign(0)
    first.poll(first.record(put(first, "a.wav")))
    first.settle()
    second = WorkerHarness(shared=shared)
    second.assign(0)
    second.poll(second.record(put(second, "a.wav")))
    second.settle()
    assert [row["tier"] for row in (*first.results(), *second.results())] == ["computed", "redis"]
    assert second.decoders.decoded == []
    shared.down = True
    third = WorkerHarness(shared=shared)
    third.assign(0)
    third.poll(third.record(put(third, "a.wav")))
    third.settle()
    assert [row["tier"] for row in third.results()] == ["computed"]
    assert third.results()[0]["score_angry"] == first.results()[0]["score_angry"]


def test_five_failures_of_one_object_are_its_own_fault(worker: WorkerHarness) -> None:
    worker.store.failing["sick.wav"] = Cause.SERVER_ERROR
    sick = [worker.record(put(worker, "sick.wav")) for _ in range(7)]
    worker.poll(*sick, worker.record(put(worker, "good.wav")))
    worker.settle(40)
    assert len(worker.sink.values(SOON)) == 7
    assert len(worker.results()) == 1


def test_many_objects_that_fail_while_the_canary_sings_are_waited_for_once_and_then_blamed(
    worker: WorkerHarness,
) -> None:
    for i in range(8):
        worker.store.failing[f"{i}.wav"] = Cause.SERVER_ERROR
    worker.poll(*[worker.record(put(worker, f"{i}.wav")) for i in range(8)])
    worker.settle()
    assert worker.pipeline.store_down
    worker.settle(40)
    assert len(worker.sink.values(SOON)) == 8


def test_refusals_are_judged_by_the_canary_alone_however_many(worker: WorkerHarness) -> None:
    for i in range(8):
        worker.store.failing[f"{i}.wav"] = Cause.DENIED
    worker.poll(*[worker.record(put(worker, f"{i}.wav")) for i in range(8)])
    worker.settle()
    assert [header(dead.headers, "sp-reason") for dead in worker.sink.values(DEAD)] == [b"access_denied"] * 8


def test_as_many_headers_as_are_allowed_survive_a_lane_byte_for_byte(worker: WorkerHarness) -> None:
    headers = (*((f"h{i}", b"x") for i in range(63)), ("sp-call-site", b"theirs"))
    worker.poll(worker.record(encode_event("late.wav", event_id="late"), headers=headers))
    worker.settle()
    worker.poll(again(worker, SOON))
    put(worker, "late.wav")
    worker.settle(11)
    assert [row["event_id"] for row in worker.results()] == ["late"]
    worker.poll(worker.record(encode_event("never.wav"), headers=headers))
    worker.settle()
    worker.poll(again(worker, SOON))
    worker.settle(11)
    assert worker.sink.values(SOON)[-1].headers[:64] == headers


def test_a_row_that_is_too_large_with_its_key_is_a_dead_letter(worker: WorkerHarness) -> None:
    event = put(worker, "a.wav", attributes={"note": "x" * 90_000})
    worker.poll(worker.record(event, key=b"k" * 957_500))
    worker.settle()
    (dead,) = worker.sink.values(DEAD)
    assert (header(dead.headers, "sp-reason"), header(dead.headers, "sp-stage")) == (b"event_invalid", b"assemble")


def test_a_time_that_no_reader_holds_is_a_dead_letter(worker: WorkerHarness) -> None:
    worker.poll(worker.record(put(worker, "a.wav", recorded_at=10**17)))
    worker.settle()
    (dead,) = worker.sink.values(DEAD)
    assert header(dead.headers, "sp-reason") == b"event_invalid"


def test_attributes_lose_what_sinks_refuse(worker: WorkerHarness) -> None:
    worker.poll(worker.record(put(worker, "a.wav", attributes={"n\0ote": "a\0b"})))
    worker.settle()
    assert worker.results()[0]["attributes_json"] == '{"note": "ab"}'


def test_a_segment_without_scores_fails_its_recording_once_while_others_want_the_same_bytes() -> None:
    worker = WorkerHarness(Settings(brake=BrakeSettings(in_a_row=1_000)), shared=MemorySharedTier())
    worker.assign(0)
    body = recording(60_000, name="long")
    first = float(np.float32(hashlib.sha256(body + b"\0").digest()[0]) / np.float32(255))
    worker.device.poisoned = {first}
    worker.poll(worker.record(put(worker, "a.wav", body)))
    for _ in range(60):
        worker.pipeline.step()
        worker.poll(worker.record(put(worker, "b.wav", body)))
    worker.settle()
    assert {header(dead.headers, "sp-reason") for dead in worker.sink.values(DEAD)} == {b"model_failed"}
    assert worker.pipeline.idle
    assert worker.arena.free == worker.arena.slots


def test_a_revoke_does_not_wait_for_records_of_others_that_are_not_on_the_device(worker: WorkerHarness) -> None:
    worker.poll(worker.record(b"bad", 0), worker.record(put(worker, "b.wav"), 1))
    worker.fetches.at_once = False
    gone = [TopicPartition(IN, 0)]
    worker.pipeline.revoke(gone)
    assert worker.pipeline.settled(gone)
    worker.fetches.at_once = True
    worker.settle()
    assert worker.position(0) is None
    assert worker.position(1) == 1


def test_waiting_for_a_broker_does_not_spend_the_aborts() -> None:
    worker = WorkerHarness(Settings(flow=FlowSettings(produce_again=1)))
    worker.assign(0)
    worker.sink.error = AbortedError("no broker", waited=True)
    worker.poll(worker.record(put(worker, "a.wav")))
    outlast(worker)
    worker.sink.error = None
    worker.settle(10)
    assert worker.position() == 1


def test_nothing_is_kept_of_a_partition_that_was_given_up(worker: WorkerHarness) -> None:
    worker.fetches.at_once = False
    stale = worker.record(put(worker, "a.wav"), 0)
    worker.poll(stale)
    worker.settle()
    epoch = worker.ownership.epoch(stale.source)
    assert epoch is not None
    worker.ownership.drop([stale.source])
    worker.pipeline.lose([stale.source])
    worker.settle()
    assert worker.pipeline.idle
    worker.pipeline.accept([Polled(stale._replace(offset=1), epoch)])  # somebody else has it
    assert worker.pipeline.idle
