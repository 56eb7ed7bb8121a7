"""Erasing what the shared tiers keep of a recording or of a tenant, and saying what that does not reach."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from minio import Minio
from minio.error import MinioException
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from streamproc.dedupe.redis import RedisTier
from streamproc.errors import Cause, DependencyDownError, StoreError, TierError, UsageError
from streamproc.records.alias import names_of
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.records.identity import OBJECTS, object_scope, scope
from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import Tags
from streamproc.settings import Settings, StorageSettings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics

_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,62})/(.{1,512})")
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")

UNREACHED: Mapping[str, str] = {
    "workers": "what running workers remember (dedupe.memory_bytes) goes when they are started again",
    "topics": "rows of results and segments, and dead letters, stay until their topics' retention",
    "downstream": "warehouses, analytics and backups have copies of the rows",
    "recording": "the recording itself is its owner's to delete",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be forgotten: a content, what a tenant has, or what a tenant has of a content."""

    sha256: str | None
    tenant: str | None
    aliases: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased, or would be."""

    sha256: str | None
    tenant: str | None
    redis_keys: int | None
    """None without a Redis."""
    objects: tuple[str, ...]


def find_content(settings: Settings, what: str, tenant: str | None) -> Wanted:
    """What an ``s3://BUCKET/KEY`` or a ``sha256:HEX`` stands for. Raises UsageError, DependencyDownError."""
    if found := _SHA256.fullmatch(what):
        return Wanted(found[1], tenant)
    uri = _URI.fullmatch(what)
    if uri is None:
        raise UsageError(f"{what[:300]!r} is neither s3://BUCKET/KEY nor sha256: and 64 hexadecimal digits")
    bucket, key = uri.groups()
    with closing(S3Store(settings.storage, 1, SystemClock())) as store:
        try:
            stored = store.get(bucket, key, None, settings.audio.max_object_bytes)
        except StoreError as error:
            if error.cause in {Cause.MISSING, Cause.DENIED, Cause.EMPTY, Cause.TOO_LARGE, Cause.INVALID_NAME}:
                message = f"{what}: {error.detail}. If it is gone, its results name it: forget sha256:<content_sha256>"
                raise UsageError(message) from None
            raise DependencyDownError("store", error.detail) from None
    event = RecordingEvent("", 0, bucket, key)
    names = names_of(event, Tags(stored.etag, stored.version_id))
    return Wanted(hashlib.sha256(stored.body).hexdigest(), tenant, names)


def forget(settings: Settings, wanted: Wanted, *, dry_run: bool) -> Forgotten:
    """Erase it from the archive and from Redis; with ``dry_run`` say what that would be.

    First the objects: a worker may else take a value from the archive back to Redis. Raises UsageError,
    DependencyDownError.
    """
    if wanted.sha256 is None and not wanted.tenant:
        raise UsageError("say what is to be forgotten: an object, a hash, or --tenant with a name")
    if wanted.tenant is not None and settings.dedupe.scope != "tenant":
        raise UsageError(
            "with dedupe.scope = global nothing is kept by tenant: all share what one sent. Name its recordings"
        )
    shared_by = scope("tenant", wanted.tenant) if wanted.tenant is not None else None
    erased = tuple(_objects(settings.storage, wanted.sha256, shared_by, dry_run=dry_run))
    keys = _keys(settings, wanted, shared_by, dry_run=dry_run)
    return Forgotten(wanted.sha256, wanted.tenant, keys, erased)


def _objects(settings: StorageSettings, sha256: str | None, shared_by: str | None, *, dry_run: bool) -> Iterator[str]:
    """Every version of every object, as the bucket may keep them."""
    endpoint = settings.endpoint
    pool = PoolManager(timeout=Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s), retries=False)
    secrets = settings.access_key.get_secret_value(), settings.secret_key.get_secret_value()
    client = Minio(
        endpoint.partition("://")[2],
        *secrets,
        secure=endpoint.startswith("https://"),
        region=settings.region,
        http_client=pool,
    )
    wanted = f"/{object_scope(shared_by)}/" if shared_by is not None else "/"
    prefix = f"{OBJECTS}{sha256}/" if sha256 else OBJECTS
    try:
        for found in client.list_objects(settings.bucket, prefix, recursive=True, include_version=True):
            name = found.object_name or ""
            if wanted not in name:
                continue
            if not dry_run:
                client.remove_object(settings.bucket, name, found.version_id)
            yield name
    except (MinioException, HTTPError) as error:
        raise DependencyDownError("store", f"{type(error).__name__} while objects under {prefix} were erased") from None


def _keys(settings: Settings, wanted: Wanted, shared_by: str | None, *, dry_run: bool) -> int | None:
    url = settings.redis.url
    if url is None or not url.get_secret_value():
        return None
    tier = RedisTier(settings.redis, analysis_to_bytes, analysis_from_bytes, SystemClock(), Metrics())
    try:
        found = tier.erase(wanted.sha256, shared_by, dry_run=dry_run)
        return found + tier.erase_aliases(wanted.aliases, dry_run=dry_run)
    except TierError as error:
        done = "nothing is erased" if dry_run else "the objects are erased"
        raise DependencyDownError("redis", f"{error}; {done}, do it again when redis answers") from None
    finally:
        tier.close()
