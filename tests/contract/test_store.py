"""What every object store does, the one in memory and the real one."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from streamproc.errors import Cause, StoreError
from streamproc.records.stored import Tags
from streamproc.settings import Settings, StorageSettings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from streamproc.testing.store import MemoryStore

Store = MemoryStore | S3Store
MOST = 1024 * 1024


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    settings: Settings = request.getfixturevalue("patient")
    store = S3Store(settings.storage, 4, SystemClock())
    store.ensure_bucket("recordings")
    yield store
    store.close()


@pytest.fixture(params=["memory", "s3"])
def away(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One that nobody answers for."""
    if request.param == "memory":
        store = MemoryStore()
        store.down = Cause.CONNECTION
        yield store
        return
    real = S3Store(StorageSettings(endpoint="http://127.0.0.1:1"), 1, SystemClock())
    yield real
    real.close()


@pytest.fixture
def versioned(store: Store, request: pytest.FixtureRequest) -> str:
    """A bucket that keeps every version."""
    bucket = f"versions-{uuid.uuid4()}"
    store.ensure_bucket(bucket)
    if isinstance(store, S3Store):
        settings: StorageSettings = request.getfixturevalue("servers").storage
        admin = Minio(
            settings.endpoint.removeprefix("http://"),
            settings.access_key.get_secret_value(),
            settings.secret_key.get_secret_value(),
            secure=False,
        )
        admin.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    return bucket


@pytest.fixture
def key() -> str:
    return f"contract/{uuid.uuid4()}.wav"


def cause(store: Store, key: str, *, bucket: str = "recordings", version: str | None = None, most: int = MOST) -> Cause:
    with pytest.raises(StoreError) as caught:
        store.get(bucket, key, version, most)
    return caught.value.cause


def test_what_was_put_is_got_back_byte_for_byte(store: Store, key: str) -> None:
    body = bytes(range(256)) * 1000
    receipt = store.put("recordings", key, body, "audio/wav")
    stored = store.get("recordings", key, None, MOST)
    assert stored.body == body
    assert stored.etag == receipt.etag
    assert stored.etag


def test_the_latest_put_is_what_is_got(store: Store, key: str) -> None:
    store.put("recordings", key, b"first", "audio/wav")
    store.put("recordings", key, b"second", "audio/wav")
    assert store.get("recordings", key, None, MOST).body == b"second"


def test_every_character_of_the_key_grammar_is_taken_as_it_is(store: Store, key: str) -> None:
    key = f"{key}/A.b_c=d+e-f/0..9"
    store.put("recordings", key, b"here", "audio/wav")
    assert store.get("recordings", key, None, MOST).body == b"here"


def test_an_object_that_is_not_there_is_missing(store: Store, key: str) -> None:
    assert cause(store, key) is Cause.MISSING


def test_a_version_that_is_not_there_is_missing(store: Store, key: str) -> None:
    store.put("recordings", key, b"here", "audio/wav")
    assert cause(store, key, version="7d2d1e0f-9a4d-4d0c-8f0b-0a3f6f1f5c11") is Cause.MISSING


def test_the_version_that_is_named_is_what_is_got(store: Store, versioned: str, key: str) -> None:
    first = store.put(versioned, key, b"first", "audio/wav")
    second = store.put(versioned, key, b"second", "audio/wav")
    assert len({None, first.version_id, second.version_id}) == 3
    for receipt, body in ((first, b"first"), (second, b"second")):
        stored = store.get(versioned, key, receipt.version_id, MOST)
        assert (stored.body, stored.version_id, stored.etag) == (body, receipt.version_id, receipt.etag)
    latest = store.get(versioned, key, None, MOST)
    assert (latest.body, latest.version_id) == (b"second", second.version_id)


def test_equal_bytes_have_equal_tags_and_others_others(store: Store, key: str) -> None:
    one, same, other = (store.put("recordings", key, body, "audio/wav").etag for body in (b"a", b"a", b"b"))
    assert one == same != other


def test_a_bucket_that_is_not_there_is_no_objects_fault(store: Store, key: str) -> None:
    assert cause(store, key, bucket="nowhere-to-be-seen") is Cause.DENIED


def test_an_empty_object_says_so(store: Store, key: str) -> None:
    store.put("recordings", key, b"", "audio/wav")
    assert cause(store, key) is Cause.EMPTY


def test_an_object_of_exactly_the_limit_is_taken_and_of_one_byte_more_is_not(store: Store, key: str) -> None:
    store.put("recordings", key, bytes(1000), "audio/wav")
    assert len(store.get("recordings", key, None, 1000).body) == 1000
    assert cause(store, key, most=999) is Cause.TOO_LARGE


@pytest.mark.parametrize("name", ["../x", "a/./b", "a/..", ""])
def test_a_name_that_no_object_can_have_is_refused(store: Store, name: str) -> None:
    assert cause(store, name) is Cause.INVALID_NAME


@pytest.mark.parametrize("name", ["../x", "a/./b", "a/..", ""])
def test_nothing_is_put_under_a_name_that_no_object_can_have(store: Store, name: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.put("recordings", name, b"here", "audio/wav")
    assert caught.value.cause is Cause.INVALID_NAME


def test_nothing_is_put_into_a_bucket_that_is_not_there(store: Store, key: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.put("nowhere-to-be-seen", key, b"here", "audio/wav")
    assert caught.value.cause is Cause.DENIED


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get("recordings", "a", None, MOST),
        lambda store: store.put("recordings", "a", b"here", "audio/wav"),
        lambda store: store.probe(),
        lambda store: store.ensure_bucket("recordings"),
    ],
    ids=["get", "put", "probe", "ensure_bucket"],
)
def test_a_store_that_is_away_cannot_be_reached_and_the_canary_fails_too(
    away: Store, call: Callable[[Store], object]
) -> None:
    with pytest.raises(StoreError) as caught:
        call(away)
    assert caught.value.cause is Cause.CONNECTION


def test_a_bucket_that_is_ensured_again_keeps_what_is_in_it_and_the_canary_sings(store: Store, key: str) -> None:
    store.put("recordings", key, b"here", "audio/wav")
    store.ensure_bucket("recordings")
    store.probe()
    assert store.get("recordings", key, None, MOST).body == b"here"


@pytest.mark.servers
def test_the_canary_of_a_bucket_that_nobody_made_fails(patient: Settings) -> None:
    settings = patient.storage.model_copy(update={"bucket": "nowhere-to-be-seen"})
    with closing(S3Store(settings, 1, SystemClock())) as store, pytest.raises(StoreError, match="nowhere-to-be-seen"):
        store.probe()


def test_many_threads_get_what_each_asked_for(store: Store, key: str) -> None:
    bodies = {f"{key}.{i}": bytes([i]) * (1000 + i) for i in range(32)}
    for name, body in bodies.items():
        store.put("recordings", name, body, "audio/wav")
    with ThreadPoolExecutor(8) as threads:
        got = threads.map(lambda name: store.get("recordings", name, None, MOST).body, bodies)
        assert list(got) == list(bodies.values())


@pytest.mark.servers
def test_a_wrong_secret_is_denied_and_the_canary_fails_too(patient: Settings, key: str) -> None:
    wrong = patient.storage.model_copy(update={"secret_key": type(patient.storage.secret_key)("not-the-secret")})
    store = S3Store(wrong, 1, SystemClock())
    assert cause(store, key) is Cause.DENIED
    with pytest.raises(StoreError) as caught:
        store.probe()
    assert caught.value.cause is Cause.DENIED
    store.close()


def test_the_fake_fails_on_demand() -> None:
    store = MemoryStore()
    store.put("recordings", "a.wav", b"here", "audio/wav")
    store.failing["a.wav"] = Cause.SERVER_ERROR
    assert cause(store, "a.wav") is Cause.SERVER_ERROR
    store.probe()
    store.down = Cause.CONNECTION
    assert cause(store, "b.wav") is Cause.CONNECTION
    with pytest.raises(StoreError):
        store.probe()
    with pytest.raises(StoreError):
        store.put("recordings", "b.wav", b"", "audio/wav")
    store.down, store.failing = None, {}
    assert store.get("recordings", "a.wav", "v1", MOST).body == b"here"
    assert store.gets == ["a.wav", "b.wav", "a.wav"]
    assert store.refused == 3
    store.remove("recordings", "a.wav")
    assert cause(store, "a.wav") is Cause.MISSING


def test_the_fake_refuses_to_fail_for_no_cause() -> None:
    store = MemoryStore()
    with pytest.raises(TypeError, match=r"down is True; it takes an errors\.Cause"):
        store.down = True  # type: ignore[assignment]  # what somebody may write who does not check types
    store.failing["a.wav"] = "gone"  # type: ignore[assignment]  # same
    with pytest.raises(TypeError, match=r"failing\['a\.wav'\] is 'gone'"):
        store.get("recordings", "a.wav", None, MOST)
    store.probe()


def test_the_tags_of_an_object_are_those_it_is_got_with(store: Store, versioned: str, key: str) -> None:
    first, second = (store.put(versioned, key, body, "audio/wav") for body in (b"first", b"second"))
    assert store.tags(versioned, key, None) == store.get(versioned, key, None, MOST).tags
    assert store.tags(versioned, key, first.version_id) == Tags(first.etag, first.version_id)
    assert store.tags(versioned, key, second.version_id) == store.tags(versioned, key, None)


def test_an_object_that_is_not_there_has_no_tags(store: Store, key: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.tags("recordings", key, None)
    assert caught.value.cause is Cause.MISSING
