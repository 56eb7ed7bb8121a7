"""What is forgotten of a recording or a tenant on real servers, and that nothing else is."""

import hashlib
import json
import uuid
from collections.abc import Iterator

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from pydantic import SecretStr
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.dedupe.archive import ArchiveTier
from streamproc.dedupe.redis import RedisTier
from streamproc.errors import DependencyDownError, DependencyRefusesError, UsageError
from streamproc.operate.contents import open_minio
from streamproc.operate.forget import UNREACHED, Wanted, find_wanted, forget
from streamproc.records.alias import names_of
from streamproc.records.analysis import Analysis, AudioInfo, Status
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.records.finished import FinishedSegment, Stretch
from streamproc.records.identity import content_key, scope, work_key
from streamproc.records.recording import RecordingEvent
from streamproc.settings import DedupeSettings, RedisSettings, Settings, StorageSettings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics
from tests.redis_users import user

SILENCE = Analysis(Status.NO_SPEECH, (), (), 0, AudioInfo(900, 16_000, 1, "flac"), ())
FINGERPRINTS = ("a" * 32, "b" * 32)


class Kept:
    """What workers have kept, in a bucket of its own that keeps every version."""

    def __init__(self, settings: Settings) -> None:
        bucket = f"forget-{uuid.uuid4()}"
        storage = settings.storage.model_copy(update={"bucket": bucket})
        dedupe = DedupeSettings(scope="tenant")
        self.settings = settings.model_copy(update={"storage": storage, "dedupe": dedupe})
        self.store = S3Store(storage, 2, SystemClock())
        self.store.ensure_bucket(bucket)
        secrets = storage.access_key.get_secret_value(), storage.secret_key.get_secret_value()
        admin = Minio(storage.endpoint.removeprefix("http://"), *secrets, secure=False)
        admin.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
        codec = analysis_to_bytes, analysis_from_bytes, SystemClock(), Metrics()
        self.archive = ArchiveTier(self.store, bucket, *codec)
        self.tier = RedisTier(settings.redis, *codec)
        self.run = uuid.uuid4().hex

    def body(self, name: str) -> bytes:
        return f"{self.run} {name}".encode()

    def sha256(self, name: str) -> str:
        return hashlib.sha256(self.body(name)).hexdigest()

    def keys(self, name: str, tenant: str) -> list[str]:
        """Of two fingerprints, with the embedding of one."""
        plain, other = (content_key(scope("tenant", tenant), self.sha256(name), one) for one in FINGERPRINTS)
        return [plain, work_key(other, embedding=True)]

    def keep(self, name: str, tenant: str) -> None:
        """Keep two versions of the analysis of one recording for a tenant, everywhere."""
        for key in self.keys(name, tenant):
            self.tier.put_many({key: SILENCE})
            self.tier.keep_finished(key, [FinishedSegment(Stretch(-1, 0, 700), (0.5, 0.5))])
            for _ in range(2):
                self.archive.put(key, SILENCE)

    def known(self, name: str, tenant: str) -> int:
        """In how many places an analysis is kept."""
        keys = self.keys(name, tenant)
        finished = sum(bool(self.tier.get_finished(key)) for key in keys)
        return len(self.tier.get_many(keys)) + finished + sum(self.archive.get(key) is not None for key in keys)


@pytest.fixture
def kept(patient: Settings) -> Iterator[Kept]:
    kept = Kept(patient)
    for name in ("mine", "other"):
        for tenant in ("t1", "t2"):
            kept.keep(f"{name}", f"{kept.run}{tenant}")
    yield kept
    kept.tier.close()
    kept.store.close()


def left(kept: Kept) -> list[int]:
    return [kept.known(name, f"{kept.run}{tenant}") for name in ("mine", "other") for tenant in ("t1", "t2")]


def test_a_content_is_forgotten_with_every_version_and_nothing_else(kept: Kept) -> None:
    assert left(kept) == [6, 6, 6, 6]
    found = forget(kept.settings, Wanted((kept.sha256("mine"),), None), dry_run=False)
    assert (len(found.objects), found.redis_keys) == (8, 8)
    assert left(kept) == [0, 0, 6, 6]
    assert forget(kept.settings, Wanted((kept.sha256("mine"),), None), dry_run=False).objects == ()


def test_a_tenant_is_forgotten_and_no_other_one(kept: Kept) -> None:
    found = forget(kept.settings, Wanted((), f"{kept.run}t1"), dry_run=False)
    assert (len(found.objects), found.redis_keys) == (8, 8)
    assert left(kept) == [0, 6, 0, 6]


def test_what_a_tenant_has_of_a_content_is_forgotten_alone(kept: Kept) -> None:
    forget(kept.settings, Wanted((kept.sha256("mine"),), f"{kept.run}t1"), dry_run=False)
    assert left(kept) == [0, 6, 6, 6]


def test_a_dry_run_names_and_erases_nothing(kept: Kept) -> None:
    found = forget(kept.settings, Wanted((kept.sha256("mine"),), None), dry_run=True)
    assert (len(found.objects), found.redis_keys) == (8, 8)
    assert left(kept) == [6, 6, 6, 6]


@pytest.fixture
def alias(kept: Kept) -> str:
    """A name that stands for the bytes of mine, beside one that stands for those of the other."""
    mine, other = f"{kept.run}\nmine.wav\nea", f"{kept.run}\nother.wav\neb"
    kept.tier.put_aliases({mine: kept.sha256("mine"), other: kept.sha256("other")})
    return mine


def others(kept: Kept) -> int:
    """How many aliases of the other are known."""
    return len(kept.tier.get_aliases([f"{kept.run}\nother.wav\neb"]))


@pytest.mark.parametrize("tenant", [False, True])
def test_a_content_is_forgotten_with_the_aliases_that_stand_for_it(kept: Kept, alias: str, *, tenant: bool) -> None:
    wanted = Wanted((kept.sha256("mine"),), f"{kept.run}t1" if tenant else None)
    seen = forget(kept.settings, wanted, dry_run=True)
    assert kept.tier.get_aliases([alias])
    assert forget(kept.settings, wanted, dry_run=False) == seen
    assert seen.redis_keys == (4 if tenant else 8) + 1
    assert (kept.tier.get_aliases([alias]), others(kept)) == ({}, 1)
    assert seen.unreached == UNREACHED


@pytest.mark.parametrize("place", ["redis", "archive"])
def test_a_tenant_is_forgotten_with_the_aliases_of_what_is_kept_for_it(kept: Kept, alias: str, place: str) -> None:
    tenant = kept.run + "t3"
    key = content_key(scope("tenant", tenant), kept.sha256("mine"), "a" * 32)
    if place == "redis":
        kept.tier.put_many({key: SILENCE})
    else:
        kept.archive.put(key, SILENCE)
    assert forget(kept.settings, Wanted((), tenant), dry_run=False).redis_keys == 1 + (place == "redis")
    assert (kept.tier.get_aliases([alias]), others(kept)) == ({}, 1)
    assert left(kept) == [6, 6, 6, 6]


def test_an_alias_that_nothing_tells_of_whom_it_is_stays_and_is_told(kept: Kept, alias: str) -> None:
    found = forget(kept.settings, Wanted((), f"{kept.run}t3"), dry_run=False)
    assert (found.redis_keys, len(kept.tier.get_aliases([alias]))) == (0, 1)
    assert "no analysis of the tenant's is left" in found.unreached["aliases"]


def test_an_object_is_forgotten_by_its_name_with_its_aliases(kept: Kept) -> None:
    bucket = kept.settings.storage.bucket
    tags = kept.store.put(bucket, "calls/mine.wav", kept.body("mine"), "audio/wav")
    names = names_of(RecordingEvent("", 0, bucket, "calls/mine.wav"), tags)
    kept.tier.put_aliases(dict.fromkeys(names, kept.sha256("mine")))
    wanted = find_wanted(kept.settings, f"s3://{bucket}/calls/mine.wav", None)
    assert wanted.contents == (kept.sha256("mine"),)
    assert forget(kept.settings, wanted, dry_run=False).redis_keys == 8 + 2
    assert kept.tier.get_aliases(names) == {}
    assert left(kept) == [0, 0, 6, 6]


@pytest.mark.parametrize("hidden", [False, True])
def test_an_object_is_forgotten_with_its_older_versions_and_no_neighbour(kept: Kept, *, hidden: bool) -> None:
    bucket = kept.settings.storage.bucket
    kept.store.put(bucket, "calls/a.wav.bak", kept.body("other"), "audio/wav")
    for body in (kept.body("mine"), b"", kept.body("newer"), kept.body("newer")):
        kept.store.put(bucket, "calls/a.wav", body, "audio/wav")
    if hidden:
        open_minio(kept.settings.storage).remove_object(bucket, "calls/a.wav")
    wanted = find_wanted(kept.settings, f"s3://{bucket}/calls/a.wav", None)
    assert wanted.contents == (kept.sha256("newer"), kept.sha256("mine"))
    assert set(wanted.unreached) == {"before"}
    kept.keep("newer", "t1")
    assert forget(kept.settings, wanted, dry_run=False).redis_keys == 8 + 4
    assert (kept.known("newer", "t1"), left(kept)) == (0, [0, 0, 6, 6])


def test_a_version_that_is_too_large_is_told(kept: Kept) -> None:
    bucket = kept.settings.storage.bucket
    for body in (bytes(10_000), kept.body("mine")):
        kept.store.put(bucket, "calls/a.wav", body, "audio/wav")
    audio = kept.settings.audio.model_copy(update={"max_object_bytes": 1_000})
    wanted = find_wanted(kept.settings.model_copy(update={"audio": audio}), f"s3://{bucket}/calls/a.wav", None)
    assert wanted.contents == (kept.sha256("mine"),)
    assert wanted.unreached["unreadable"].startswith("1 version of the object that cannot be read")


def test_what_was_overwritten_in_place_stays_and_is_told(kept: Kept) -> None:
    bucket = f"plain-{uuid.uuid4()}"
    kept.store.ensure_bucket(bucket)
    for name in ("mine", "other"):
        kept.store.put(bucket, "a.wav", kept.body(name), "audio/wav")
    wanted = find_wanted(kept.settings, f"s3://{bucket}/a.wav", None)
    found = forget(kept.settings, wanted, dry_run=False)
    assert left(kept) == [6, 6, 0, 0]
    assert "overwritten in place" in found.unreached["before"]


def test_who_may_not_list_versions_is_told_so(kept: Kept) -> None:
    bucket = kept.settings.storage.bucket
    for name in ("other", "mine"):
        kept.store.put(bucket, "a.wav", kept.body(name), "audio/wav")
    reading = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"]}
    policy = {"Version": "2012-10-17", "Statement": [reading | {"Resource": [f"arn:aws:s3:::{bucket}/*"]}]}
    open_minio(kept.settings.storage).set_bucket_policy(bucket, json.dumps(policy))
    anybody = StorageSettings(endpoint=kept.settings.storage.endpoint)
    wanted = find_wanted(kept.settings.model_copy(update={"storage": anybody}), f"s3://{bucket}/a.wav", None)
    assert wanted.contents == (kept.sha256("mine"),)
    assert set(wanted.unreached) == {"versions", "before"}


@pytest.mark.parametrize("what", ["calls/a.wav", "s3://", "sha256:12", "s3://UPPER/a", "sha256:" + "G" * 64])
def test_what_is_no_object_and_no_hash_is_refused(patient: Settings, what: str) -> None:
    with pytest.raises(UsageError, match="neither"):
        find_wanted(patient, what, None)


def test_an_object_that_is_gone_says_what_to_do(kept: Kept) -> None:
    with pytest.raises(UsageError, match="content_sha256"):
        find_wanted(kept.settings, f"s3://{kept.settings.storage.bucket}/gone.wav", None)


@pytest.mark.parametrize("tenant", [None, ""])
def test_nothing_is_not_everything(kept: Kept, tenant: str | None) -> None:
    with pytest.raises(UsageError, match="say what"):
        forget(kept.settings, Wanted((), tenant), dry_run=False)


def test_a_tenant_of_whom_nothing_is_kept_apart_is_refused(patient: Settings) -> None:
    with pytest.raises(UsageError, match="kept by tenant"):
        forget(patient, Wanted((), "t"), dry_run=False)


def test_a_store_that_is_away_is_told_and_nothing_is_erased(kept: Kept) -> None:
    away = kept.settings.model_copy(update={"storage": StorageSettings(endpoint="http://127.0.0.1:1")})
    with pytest.raises(DependencyDownError, match="store"):
        forget(away, Wanted((kept.sha256("mine"),), None), dry_run=False)
    assert left(kept) == [6, 6, 6, 6]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_user_who_may_not_erase_is_told_what_is_needed_and_nothing_is_erased(kept: Kept, *, dry_run: bool) -> None:
    with user(kept.settings.redis, "worker") as redis:
        settings = kept.settings.model_copy(update={"redis": redis})
        with pytest.raises(
            DependencyRefusesError, match=r"needs SCAN, MGET and UNLINK .*; nothing is erased, do it again"
        ):
            forget(settings, Wanted((kept.sha256("mine"),), None), dry_run=dry_run)
    assert left(kept) == [6, 6, 6, 6]


def test_the_commands_that_are_named_for_it_are_enough(kept: Kept) -> None:
    with user(kept.settings.redis, "operator") as redis:
        settings = kept.settings.model_copy(update={"redis": redis})
        found = forget(settings, Wanted((kept.sha256("mine"),), None), dry_run=False)
    assert (len(found.objects), found.redis_keys) == (8, 8)
    assert left(kept) == [0, 0, 6, 6]


def test_a_redis_that_is_away_is_told_and_nothing_is_erased(kept: Kept) -> None:
    away = kept.settings.model_copy(update={"redis": RedisSettings(url=SecretStr("redis://127.0.0.1:1/0"))})
    with pytest.raises(DependencyDownError, match="nothing is erased, do it again when redis answers"):
        forget(away, Wanted((kept.sha256("mine"),), None), dry_run=False)
    assert left(kept) == [6, 6, 6, 6]


def test_the_command_says_what_it_did_and_what_it_cannot_reach(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.cli.forget.load_settings", lambda: kept.settings)
    sha256 = kept.sha256("mine")
    told = CliRunner().invoke(app, ["forget", f"sha256:{sha256}", "--dry-run"])
    assert told.exit_code == 0
    assert told.stdout.count("would be erased: s3://") == 8
    workers = next(line for line in told.stderr.splitlines() if "running workers" in line)
    for setting in ("memory_bytes", "alias_bytes", "archive_waiting_bytes"):
        assert f"dedupe.{setting}" in workers
    assert workers.endswith("until they are restarted: restart them all, then do this once more.")
    told = CliRunner().invoke(app, ["forget", sha256, "--json"])
    answer = json.loads(told.stdout)
    assert (answer["contents"], len(answer["objects"]), answer["redis_keys"]) == ([sha256], 8, 8)
    assert set(answer["unreached"]) == {"workers", "topics", "downstream", "recording"}
