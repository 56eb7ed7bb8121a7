"""Which contents an object of the store has, and had in the versions that its bucket keeps."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus

from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from streamproc.errors import Cause, DependencyDownError, StoreError, UsageError
from streamproc.operate.lines import counted
from streamproc.settings import Settings, StorageSettings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock

_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,62})/(.{1,512})")
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_REFUSALS = frozenset({Cause.MISSING, Cause.DENIED, Cause.EMPTY, Cause.TOO_LARGE, Cause.INVALID_NAME})
"""What the store says of one object, and will say again."""
_LATEST: Sequence[str | None] = (None,)


@dataclass(frozen=True, slots=True)
class Contents:
    """What an object has and had."""

    sha256: tuple[str, ...]
    """Of each version, the latest first, each once."""
    unread: Mapping[str, str]
    """What could not be looked at, by kind, in words."""


def find_contents(settings: Settings, what: str) -> Contents:
    """What an ``s3://BUCKET/KEY`` or a ``sha256:HEX`` stands for. Raises UsageError, DependencyDownError.

    Of an object every version is read that its bucket keeps, also where a delete marker hides them.
    """
    if found := _SHA256.fullmatch(what):
        return Contents((found[1],), {})
    uri = _URI.fullmatch(what)
    if uri is None:
        raise UsageError(f"{what[:300]!r} is neither s3://BUCKET/KEY nor sha256: and 64 hexadecimal digits")
    bucket, key = uri.groups()
    versions = _versions(settings.storage, bucket, key)
    unread = {} if versions is not None else {"versions": "older versions of the object, which the store does not list"}
    found_ones, failed = _read(settings, bucket, key, versions or _LATEST)
    if not found_ones:
        message = f"{what}: {failed[0].detail}. If it is gone, its results name it: forget sha256:<content_sha256>"
        raise UsageError(message)
    # Of no bytes nothing is ever kept.
    if several := [error.detail for error in failed if error.cause is not Cause.EMPTY]:
        unread["unreadable"] = (
            f"{counted(len(several), 'version')} of the object that cannot be read, as in {several[0]}"
        )
    return Contents(found_ones, unread)


def open_minio(settings: StorageSettings) -> Minio:
    """The library's own client, for what ``S3Store`` does not do: listing and removing versions."""
    endpoint = settings.endpoint
    pool = PoolManager(timeout=Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s), retries=False)
    secrets = settings.access_key.get_secret_value(), settings.secret_key.get_secret_value()
    return Minio(
        endpoint.partition("://")[2],
        *secrets,
        secure=endpoint.startswith("https://"),
        region=settings.region,
        http_client=pool,
    )


def _versions(settings: StorageSettings, bucket: str, key: str) -> Sequence[str | None] | None:
    """The versions that hold bytes, the latest first; it goes by None, which asks for fewer rights. None: no answer."""
    found: list[str | None] = []
    try:
        for one in open_minio(settings).list_objects(bucket, key, recursive=True, include_version=True):
            if one.object_name != key:  # names come in order, and what is longer comes after
                break
            if not one.is_delete_marker:
                found.append(None if one.is_latest in {True, "true"} else one.version_id)
    except ValueError:
        return _LATEST  # no bucket's name, as the store's own client says better
    except S3Error as error:
        if error.response.status < HTTPStatus.INTERNAL_SERVER_ERROR or knows_no_versions(error):
            return None
        raise _silent(bucket, error) from None
    except (MinioException, HTTPError) as error:
        raise _silent(bucket, error) from None
    return found


def knows_no_versions(error: S3Error) -> bool:
    """Whether the store has no such listing at all, now or later."""
    return error.response.status == HTTPStatus.NOT_IMPLEMENTED


def _silent(bucket: str, error: Exception) -> DependencyDownError:
    return DependencyDownError("store", f"{type(error).__name__} while versions in {bucket!r} were listed")


def _read(
    settings: Settings, bucket: str, key: str, versions: Sequence[str | None]
) -> tuple[tuple[str, ...], Sequence[StoreError]]:
    """The hash of each version, one in memory at a time, and what was refused. Raises DependencyDownError."""
    found, failed = [], []
    with closing(S3Store(settings.storage, 1, SystemClock())) as store:
        for version in versions:
            try:
                stored = store.get(bucket, key, version, settings.audio.max_object_bytes)
            except StoreError as error:
                if error.cause not in _REFUSALS:
                    raise DependencyDownError("store", error.detail) from None
                failed.append(error)
            else:
                found.append(hashlib.sha256(stored.body).hexdigest())
    return tuple(dict.fromkeys(found)), failed
