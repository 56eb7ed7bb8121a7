"""A long recording whose worker is killed in its middle: the next one goes on from the segments that were finished."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from minio import Minio
from redis import Redis

from streamproc.records.finished_codec import finished_from_bytes
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until
from tests.unit.audio.sounds import encoded, talk

pytestmark = [pytest.mark.timeout(4 * PATIENCE_S), pytest.mark.usefixtures("hasty")]

MINUTES = 10
PER_MINUTE = 5
WITHIN = 5e-6
"""What scores of equal audio may differ by."""
OF_THE_TRY = {"result_id", "segment_id", "event_id", "tier", "produced_at", "processing_ms"}
OF_THE_PLACE = {"input_partition", "input_offset"}


@pytest.fixture
def redis(own: Settings) -> Iterator[Redis]:
    assert own.redis.url is not None
    client = Redis.from_url(own.redis.url.get_secret_value())
    yield client
    client.close()


@pytest.fixture
def hasty(variables: dict[str, str]) -> None:
    """A drain so short that ten minutes are long for the demo's network."""
    variables |= {
        "STREAMPROC_KAFKA__TRANSACTION_TIMEOUT_S": "10",
        "STREAMPROC_FLOW__DRAIN_S": "11",
        "STREAMPROC_AUDIO__MAX_OBJECT_BYTES": str(256 * 1024**2),
        "STREAMPROC_AUDIO__MAX_SECONDS": str(3600),
    }


@pytest.fixture
def store(own: Settings) -> Minio:
    return Minio(
        urlsplit(own.storage.endpoint).netloc,
        access_key=own.storage.access_key.get_secret_value(),
        secret_key=own.storage.secret_key.get_secret_value(),
        secure=False,
    )


def redrawn(own: Settings, store: Minio, uri: str) -> list[tuple[int, str]]:
    """Start and label of each segment in a timeline."""
    answer = store.get_object(own.storage.bucket, uri.removeprefix(f"s3://{own.storage.bucket}/"))
    try:
        return [(segment["start_ms"], segment["label"]) for segment in json.loads(answer.read())["segments"]]
    finally:
        answer.close()
        answer.release_conn()


def hashes(redis: Redis) -> set[bytes]:
    """Names of what holds finished segments."""
    return set(redis.scan_iter("sp:f:*"))


def kept(redis: Redis, before: set[bytes]) -> int:
    """Finished segments that are in Redis since."""
    groups: list[Any] = []
    for name in hashes(redis) - before:
        groups += redis.hvals(name)
    return len({segment.stretch for group in groups for segment in finished_from_bytes(group)})


def lives(worker: Worker) -> None:
    assert worker.process.poll() is None, worker.tail()


def counted(worker: Worker, name: str) -> float:
    lines = worker.ask("/metrics").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"streamproc_{name} ")))


def check_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name in one.keys() - OF_THE_TRY - OF_THE_PLACE:
        same = one[name] == other[name]
        assert same or one[name] == pytest.approx(other[name], abs=WITHIN), name


def test_a_killed_workers_long_recording_is_gone_on_with(
    own: Settings, worker: Worker, oracle: Oracle, corpus: Corpus, redis: Redis, store: Minio
) -> None:
    body = encoded(np.tile(talk([(11, 1)] * PER_MINUTE), MINUTES), 16_000, "FLAC")
    key = corpus.put("long.flac", body)
    sent = {"content_sha256": hashlib.sha256(body).hexdigest(), "outputs": ["scores", "segments", "timeline"]}
    before = hashes(redis)
    worker.start()
    oracle.produce(corpus.event(key, event_id="killed", **sent), b"k")
    until(lambda: kept(redis, before) >= MINUTES * PER_MINUTE // 2, PATIENCE_S, worker.tail, lambda: lives(worker))
    worker.process.kill()
    worker.process.wait()
    assert rows(oracle) == {}
    finished = kept(redis, before)
    assert finished < MINUTES * PER_MINUTE, "it was killed too late"

    worker.start()
    until(lambda: "killed" in rows(oracle), PATIENCE_S, worker.tail, lambda: lives(worker))
    resumed_s, computed_s = (
        counted(worker, "resumed_audio_seconds_total"),
        counted(worker, "computed_audio_seconds_total"),
    )
    assert worker.stop() == 0, worker.tail()

    worker.set("STREAMPROC_REDIS__URL", "")
    worker.start()
    oracle.produce(corpus.event(key, event_id="undisturbed", **sent), b"k")
    until(lambda: "undisturbed" in rows(oracle), PATIENCE_S, worker.tail, lambda: lives(worker))
    assert counted(worker, "resumed_audio_seconds_total") == 0

    (result, segments), (expected, expected_segments) = rows(oracle)["killed"], rows(oracle)["undisturbed"]
    print(  # noqa: T201  # shown with -rP
        f"{len(segments)} segments; {finished} were finished when it was killed; its successor took up "
        f"{resumed_s:.0f} s and computed {computed_s:.0f} s of {MINUTES} min"
    )
    assert (result["tier"], expected["tier"]) == ("computed", "computed")
    assert result["segment_count"] == len(segments) == len(expected_segments) >= MINUTES * PER_MINUTE
    assert 0 < resumed_s < 60 * MINUTES
    assert resumed_s + computed_s == pytest.approx(60 * MINUTES)
    assert redrawn(own, store, result["timeline_uri"]) == [(s["start_ms"], s["label"]) for s in segments]
    check_equal(result, expected)
    for one, other in zip(segments, expected_segments, strict=True):
        check_equal(one, other)


def rows(oracle: Oracle) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Result and segments by event."""
    found: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    seen = oracle.seen()
    for row in seen.results:
        assert str(row["event_id"]) not in found, "two results"
        found[str(row["event_id"])] = (row, [])
    for row in seen.segments:
        if str(row["event_id"]) in found:  # else they came with their result after the results were read
            found[str(row["event_id"])][1].append(row)
    return found
