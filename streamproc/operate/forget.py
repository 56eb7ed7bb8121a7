"""Erasing what the shared tiers keep of a recording or of a tenant, and saying what that does not reach."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from minio import Minio
from minio.datatypes import Object
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from streamproc.dedupe.erase import erase, rehearse
from streamproc.errors import DependencyDownError, DependencyRefusesError, TierError, TierRefusesError, UsageError
from streamproc.operate.contents import find_contents, knows_no_versions, open_minio
from streamproc.records.identity import OBJECTS, content_in, object_scope, scope
from streamproc.settings import Settings, StorageSettings

UNREACHED: Mapping[str, str] = {
    "workers": "running workers remember it (dedupe.memory_bytes, dedupe.alias_bytes) and may write it again, with "
    "what is in flight or waits to be archived (dedupe.archive_waiting_bytes), until they are restarted: restart them "
    "all, then do this once more",
    "topics": "rows of results and segments, and dead letters, stay until their topics' retention; originals that no "
    "topic takes are objects below dead-letters/",
    "downstream": "warehouses, analytics and backups have copies of the rows",
    "recording": "the recording itself is its owner's to delete",
}
BEFORE = (
    "what the object held before it was overwritten in place, and versions that were removed: their results name them, "
    "forget sha256:<content_sha256>"
)
"""Of an object: nothing in the store tells any more."""
ALIASES = (
    "which content a version or an ETag stood for (a hash of each, no name) where no analysis of the tenant's is left "
    "to find it by: gone after redis.ttl_s"
)
"""Of a tenant: what an alias stands for says nothing of whose it is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be forgotten: contents, what a tenant has, or what a tenant has of the contents."""

    contents: tuple[str, ...]
    """Their SHA-256; none for all that the tenant has."""
    tenant: str | None
    unreached: Mapping[str, str] = field(default_factory=dict)
    """What is known not to be among them, in words."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased, or would be."""

    contents: tuple[str, ...]
    tenant: str | None
    redis_keys: int | None
    """None without a Redis."""
    objects: tuple[str, ...]
    unreached: Mapping[str, str]


def find_wanted(settings: Settings, what: str, tenant: str | None) -> Wanted:
    """What an ``s3://BUCKET/KEY`` or a ``sha256:HEX`` stands for. Raises UsageError, DependencyDownError."""
    found = find_contents(settings, what)
    before = {"before": BEFORE} if what.startswith("s3://") else {}
    return Wanted(found.sha256, tenant, {**found.unread, **before})


def forget(settings: Settings, wanted: Wanted, *, dry_run: bool) -> Forgotten:
    """Erase it from the archive and from Redis; with ``dry_run`` say what that would be.

    First the objects: a worker may else take a value from the archive back to Redis; and before them a look at whether
    Redis would let us. Raises UsageError, DependencyDownError, DependencyRefusesError.
    """
    if not wanted.contents and not wanted.tenant:
        raise UsageError("say what is to be forgotten: an object, a hash, or --tenant with a name")
    if wanted.tenant is not None and settings.dedupe.scope != "tenant":
        raise UsageError(
            "with dedupe.scope = global nothing is kept by tenant: all share what one sent. Name its recordings"
        )
    shared_by = scope("tenant", wanted.tenant) if wanted.tenant is not None else None
    if _redis(settings) and not dry_run:
        with _told("nothing is erased"):
            rehearse(settings.redis)
    erased = tuple(_objects(settings.storage, wanted.contents, shared_by, dry_run=dry_run))
    keys = _keys(settings, wanted, shared_by, erased, dry_run=dry_run)
    unreached = {**UNREACHED, **wanted.unreached}
    if not wanted.contents and keys is not None:
        unreached["aliases"] = ALIASES
    return Forgotten(wanted.contents, wanted.tenant, keys, erased, unreached)


def _objects(
    settings: StorageSettings, contents: tuple[str, ...], shared_by: str | None, *, dry_run: bool
) -> Iterator[str]:
    """Every version of every object, as the bucket may keep them."""
    client = open_minio(settings)
    wanted = f"/{object_scope(shared_by)}/" if shared_by is not None else "/"
    for prefix in [f"{OBJECTS}{sha256}/" for sha256 in contents] or [OBJECTS]:
        try:
            for found in _listed(client, settings.bucket, prefix):
                name = found.object_name or ""
                if wanted not in name:
                    continue
                if not dry_run:
                    client.remove_object(settings.bucket, name, found.version_id)
                yield name
        except (MinioException, HTTPError) as error:
            detail = f"{type(error).__name__} while objects under {prefix} were erased"
            raise DependencyDownError("store", detail) from None


def _listed(client: Minio, bucket: str, prefix: str) -> Iterator[Object]:
    """With every version, or the objects alone where the store has no versions. Raises what the library does."""
    try:
        yield from client.list_objects(bucket, prefix, recursive=True, include_version=True)
    except S3Error as error:
        if not knows_no_versions(error):
            raise
        yield from client.list_objects(bucket, prefix, recursive=True)


def _keys(
    settings: Settings, wanted: Wanted, shared_by: str | None, erased: tuple[str, ...], *, dry_run: bool
) -> int | None:
    if not _redis(settings):
        return None
    with _told("nothing is erased" if dry_run else "the objects are erased"):
        archived = frozenset(map(content_in, erased))
        return erase(settings.redis, wanted.contents, shared_by, archived, dry_run=dry_run)


def _redis(settings: Settings) -> bool:
    """Whether there is one."""
    return bool(settings.redis.url and settings.redis.url.get_secret_value())


@contextmanager
def _told(done: str) -> Iterator[None]:
    """What is done so far, and what to do, beside what Redis said."""
    try:
        yield
    except TierRefusesError as error:
        raise DependencyRefusesError("redis", f"{error}; {done}, do it again when that is mended") from None
    except TierError as error:
        raise DependencyDownError("redis", f"{error}; {done}, do it again when redis answers") from None
