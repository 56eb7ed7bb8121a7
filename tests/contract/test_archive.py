"""What every archive does, the one in memory and the one in a bucket, which is real or not."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from streamproc.dedupe.archive import MOST_VALUE_BYTES, NAME, ArchiveTier
from streamproc.errors import Cause, TierError
from streamproc.records.analysis import Analysis, AudioInfo, Status
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.records.identity import object_name
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics, TierFault
from streamproc.testing.clock import ManualClock
from streamproc.testing.store import MemoryStore
from streamproc.testing.tier import MemoryArchive

BUCKET = "recordings"
SILENCE = Analysis(Status.NO_SPEECH, (), (), 0, AudioInfo(900, 16_000, 1, "flac"), ())
WORD = Analysis(
    Status.OK, ("angry", "sad"), (0.1 + 0.2, 1e-17), 500, AudioInfo(900, 16_000, 1, "flac"), (), (b"\xff" * 16,)
)


def on(store: MemoryStore | S3Store, metrics: Metrics | None = None, clock: ManualClock | None = None) -> ArchiveTier:
    return ArchiveTier(
        store, BUCKET, analysis_to_bytes, analysis_from_bytes, clock or SystemClock(), metrics or Metrics()
    )


@pytest.fixture(params=["memory", "bucket", pytest.param("s3", marks=pytest.mark.servers)])
def archive(request: pytest.FixtureRequest) -> Iterator[MemoryArchive | ArchiveTier]:
    if request.param == "memory":
        yield MemoryArchive()
    elif request.param == "bucket":
        yield on(MemoryStore())
    else:
        settings: Settings = request.getfixturevalue("patient")
        store = S3Store(settings.storage, 1, SystemClock())
        store.ensure_bucket(BUCKET)
        yield on(store)
        store.close()


@pytest.fixture
def key() -> str:
    return f"tenant=a:{uuid.uuid4().hex * 2}:{uuid.uuid4().hex}"


def test_what_was_put_is_got_back_bit_for_bit(archive: MemoryArchive | ArchiveTier, key: str) -> None:
    for analysis in (SILENCE, WORD):
        archive.put(key, analysis)
        assert archive.get(key) == analysis


def test_what_is_not_there_is_not_known(archive: MemoryArchive | ArchiveTier, key: str) -> None:
    assert archive.get(key) is None


def test_others_content_is_another_object(archive: MemoryArchive | ArchiveTier, key: str) -> None:
    archive.put(key, WORD)
    assert archive.get(key.replace("tenant=a", "tenant=b")) is None


def test_what_does_not_verify_is_unknown_and_counted(key: str) -> None:
    store, metrics = MemoryStore(), Metrics()
    archive = on(store, metrics)
    archive.put(key, WORD)
    body = bytearray(store.holds(BUCKET, object_name(key, NAME)) or b"")
    body[-1] ^= 1
    store.put(BUCKET, object_name(key, NAME), bytes(body), "")
    assert archive.get(key) is None
    assert metrics.tier_errors[TierFault.CORRUPT]._value.get() == 1


def test_a_store_that_is_down_is_left_alone_for_a_while(key: str) -> None:
    store, metrics, clock = MemoryStore(), Metrics(), ManualClock()
    archive = on(store, metrics, clock)
    store.down = Cause.CONNECTION
    for _ in range(5):
        with pytest.raises(TierError):
            archive.get(key)
        with pytest.raises(TierError):
            archive.put(key, WORD)
    assert store.refused == 3
    assert metrics.tier_errors[TierFault.UNAVAILABLE]._value.get() == 10
    store.down = None
    clock.advance(6)
    archive.put(key, WORD)
    assert archive.get(key) == WORD


def test_what_is_larger_than_any_of_ours_is_unknown_and_called_too_large(key: str) -> None:
    store, metrics = MemoryStore(), Metrics()
    archive = on(store, metrics)
    store.put(BUCKET, object_name(key, NAME), b"x" * (MOST_VALUE_BYTES + 1), "")
    for _ in range(5):  # more often than an archive fails before it is left alone
        assert archive.get(key) is None
    assert metrics.tier_errors[TierFault.TOO_LARGE]._value.get() == 5
    assert metrics.tier_errors[TierFault.UNAVAILABLE]._value.get() == 0
    archive.put(key, WORD)
    assert archive.get(key) == WORD


def test_what_is_too_large_to_be_read_again_is_not_kept_and_counted(key: str) -> None:
    store, metrics = MemoryStore(), Metrics()
    on(store, metrics).put(key, replace(WORD, embeddings=(b"x" * MOST_VALUE_BYTES,)))
    assert store.holds(BUCKET, object_name(key, NAME)) is None
    assert metrics.tier_errors[TierFault.TOO_LARGE]._value.get() == 1
