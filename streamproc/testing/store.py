"""An object store in memory, with the behaviour of the S3 one and failures on demand."""

from collections import defaultdict
from zlib import crc32

from streamproc.errors import Cause, StoreError
from streamproc.records.stored import StoredObject, Tags


class MemoryStore:
    """Satisfies ``worker.ports.ObjectStore``, and ``put`` and ``ensure_bucket`` of ``storage.s3.S3Store``.

    Every put makes a new version and the latest is what a get without a version sees. Failures are plain attributes,
    which may be changed at any time:

    ``down``     when set, everything fails with this cause, the canary too: the dependency is down
    ``failing``  key to cause: gets of this key fail, the canary does not
    ``gets``     keys asked for, in order, failed ones too
    ``heads``    keys whose tags were asked for, in order, failed ones too
    ``refused``  how often it did not answer because it was down

    A cause is an ``errors.Cause`` and nothing else, ``True`` neither: what a failure means depends on it. Anything else
    raises TypeError, for ``down`` when it is set, for ``failing`` when the key is asked for.
    """

    def __init__(self, bucket: str = "recordings") -> None:
        self.failing: dict[str, Cause] = {}
        self.gets: list[str] = []
        self.heads: list[str] = []
        self.refused = 0
        self._down: Cause | None = None
        self._buckets = {bucket}
        self._versions: defaultdict[tuple[str, str], list[StoredObject]] = defaultdict(list)

    @property
    def down(self) -> Cause | None:
        """Why nothing is answered; None while everything is."""
        return self._down

    @down.setter
    def down(self, cause: Cause | None) -> None:
        self._down = None if cause is None else _checked("down", cause)

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        """Fetch a whole object of at most ``most`` bytes. Raises StoreError."""
        self.gets.append(key)
        what = f"{bucket!r}/{key!r}"
        stored = self._find(bucket, key, version_id)
        if len(stored.body) > most:
            raise StoreError(Cause.TOO_LARGE, f"{what}: {len(stored.body)} bytes, over the limit of {most}")
        if not stored.body:
            raise StoreError(Cause.EMPTY, f"{what}: 0 bytes")
        return stored

    def tags(self, bucket: str, key: str, version_id: str | None) -> Tags:
        """What an object's bytes are called just now. Raises StoreError."""
        self.heads.append(key)
        return self._find(bucket, key, version_id).tags

    def put(self, bucket: str, key: str, body: bytes, _content_type: str) -> StoredObject:
        """Store an object and return it with its new version. Raises StoreError."""
        what = f"{bucket!r}/{key!r}"
        self._answer(what)
        _check_name(what, key)
        if bucket not in self._buckets:
            raise StoreError(Cause.DENIED, f"{what}: NoSuchBucket")
        versions = self._versions[bucket, key]
        versions.append(StoredObject(body, f"{crc32(body):08x}", f"v{len(versions) + 1}"))
        return versions[-1]

    def probe(self) -> None:
        """The canary. Raises StoreError while ``down`` is set."""
        self._answer("the canary")

    def ensure_bucket(self, bucket: str) -> None:
        """Make the bucket unless it is there. Raises StoreError."""
        self._answer(f"bucket {bucket!r}")
        self._buckets.add(bucket)

    def holds(self, bucket: str, key: str) -> bytes | None:
        """What is there now, whether or not the store would answer; None for nothing."""
        versions = self._versions.get((bucket, key))
        return versions[-1].body if versions else None

    def remove(self, bucket: str, key: str) -> None:
        """Delete an object with all its versions."""
        self._versions.pop((bucket, key), None)

    def _find(self, bucket: str, key: str, version_id: str | None) -> StoredObject:
        what = f"{bucket!r}/{key!r}"
        self._answer(what)
        if key in self.failing:
            raise StoreError(_checked(f"failing[{key!r}]", self.failing[key]), f"{what}: injected")
        _check_name(what, key)
        if bucket not in self._buckets:
            raise StoreError(Cause.DENIED, f"{what}: NoSuchBucket")
        found = [v for v in self._versions[bucket, key] if version_id in (None, v.version_id)]
        if not found:
            raise StoreError(Cause.MISSING, f"{what}: no such object")
        return found[-1]

    def _answer(self, what: str) -> None:
        if self._down is not None:
            self.refused += 1
            raise StoreError(self._down, f"{what}: injected")


def _checked(name: str, cause: object) -> Cause:
    if not isinstance(cause, Cause):
        raise TypeError(f"MemoryStore.{name} is {cause!r}; it takes an errors.Cause, such as Cause.CONNECTION")
    return cause


def _check_name(what: str, key: str) -> None:
    if not key.strip() or not {".", ".."}.isdisjoint(key.split("/")):
        raise StoreError(Cause.INVALID_NAME, f"{what}: no name that the store can have")
