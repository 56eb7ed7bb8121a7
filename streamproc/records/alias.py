"""Aliases: names that an object keeps only as long as its bytes are the same."""

import hashlib
from collections.abc import Sequence

from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import Tags

_V1 = b"\x01"
_NO_VERSION = "null"
"""What S3 calls the version of an object that is overwritten in place."""


def names_of(event: RecordingEvent, tags: Tags) -> Sequence[str]:
    """The names of the object that an event means, the surest first; none where nothing names its bytes.

    A bucket's versions are never overwritten. An ETag is the store's own word for the bytes of a key: an MD5, or what a
    multipart upload makes of several.
    """
    place = f"{event.bucket}\n{event.object_key}\n"
    version = tags.version_id if tags.version_id != _NO_VERSION else None
    return tuple(f"{place}{kind}{tag}" for kind, tag in (("v", version), ("e", tags.etag)) if tag)


def name_of(event: RecordingEvent, tags: Tags) -> str | None:
    """The name that an object is looked for by: its surest alone.

    What an event says beside a version may be of other bytes: who named version 2 is not to get what ETag 1 stood for.
    """
    return next(iter(names_of(event, tags)), None)


def hash_to_bytes(alias: str, sha256: str) -> bytes:
    """What is kept of an alias outside of the process."""
    digest = bytes.fromhex(sha256)
    return _V1 + digest + _check(alias, digest)


def hash_from_bytes(alias: str, value: bytes) -> str:
    """The SHA-256 in hexadecimal digits. Raises ValueError for bytes that were not written for this alias."""
    digest = _digest_in(value)
    if value != _V1 + digest + _check(alias, digest):
        raise ValueError(f"{len(value)} bytes are not what is kept of an alias")
    return digest.hex()


def claimed_hash(value: bytes | None) -> str | None:
    """The SHA-256 that is kept of some alias; which one it is, and whether it verifies, its name alone could tell."""
    return _digest_in(value).hex() if value else None


def _digest_in(value: bytes) -> bytes:
    return value[len(_V1) : len(_V1) + hashlib.sha256().digest_size]


def _check(alias: str, digest: bytes) -> bytes:
    """A value under another's name would be another object's result, so the name is part of it."""
    return hashlib.sha256(digest + alias.encode()).digest()[:8]
