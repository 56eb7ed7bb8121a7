"""A stored object as it was fetched."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The undecoded bytes of an object and what the store says of them."""

    body: bytes
    etag: str | None
    version_id: str | None
