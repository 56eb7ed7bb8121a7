"""A stored object as it was fetched."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tags:
    """What a store calls the bytes that an object has just now; None for what it does not say."""

    etag: str | None
    version_id: str | None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The undecoded bytes of an object and what the store says of them."""

    body: bytes
    etag: str | None
    version_id: str | None

    @property
    def tags(self) -> Tags:
        """What the store calls these bytes."""
        return Tags(self.etag, self.version_id)


@dataclass(frozen=True, slots=True)
class NewObject:
    """What goes to the object store because no topic takes it, or because a row points to it."""

    key: str
    body: bytes
    content_type: str = "application/json"

    def uri(self, bucket: str) -> str:
        """How a row or a header points to it."""
        return f"s3://{bucket}/{self.key}"
