"""The record that a dead letter began as, as it is put back: byte for byte, and that it was."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Protocol

from streamproc.errors import STORE_CAUSES, DependencyDownError, StoreError, StreamprocError, Verdict
from streamproc.operate.dlq.letter import Letter, put_back
from streamproc.records.dead_letter import fits
from streamproc.records.record import Headers, OutputRecord
from streamproc.records.stored import StoredObject

MOST_STORED_BYTES = 64 * 1024**2
"""Of an original in the store. What unpacks to more than 1 MiB is no use, and JSON with base64 is a third longer."""
_FOLDER = "dead-letters/"


class LeftError(StreamprocError):
    """Raised for a dead letter that cannot be put back as it was; the others are not concerned."""


class Store(Protocol):
    """Where originals are kept that were too large for the topic."""

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        """Fetch a whole object of at most ``most`` bytes. Raises StoreError."""
        ...


class OriginalRecords:
    """Dead letters back to input records. Only ``bucket`` is read: a header must not lead anywhere else."""

    def __init__(self, topic: str, partitions: int, bucket: str, store: Store) -> None:
        self._topic = topic
        self._partitions = partitions
        self._bucket = bucket
        self._store = store

    def record(self, letter: Letter) -> OutputRecord:
        """What to put back, to the partition that it came from.

        Raises LeftError when that cannot be had, or would not be the original; DependencyDownError.
        """
        if letter.told.topic != self._topic:
            raise LeftError(f"it began on {letter.told.topic}, not on {self._topic}")
        if not letter.readable:
            raise LeftError("names of its headers are not UTF-8, so they could not be kept: announce it again")
        key, value, headers = letter.record.key, letter.record.value, letter.headers
        if letter.uri is not None:
            key, value, headers = self._stored(letter.uri)
        partition = letter.told.partition if letter.told.partition < self._partitions else None
        record = OutputRecord(self._topic, key, value, put_back(headers, letter.place), partition)
        if not fits(record):
            raise LeftError("it is too large to be written by this producer: announce the recording again")
        return record

    def _stored(self, uri: str) -> tuple[bytes | None, bytes | None, Headers]:
        prefix = f"s3://{self._bucket}/"
        path = uri.removeprefix(prefix)
        if path == uri or not path.startswith(_FOLDER):
            raise LeftError(f"its original is not at {prefix}{_FOLDER}, where workers keep them")
        try:
            stored = self._store.get(self._bucket, path, None, MOST_STORED_BYTES)
        except StoreError as error:
            if STORE_CAUSES[error.cause][0] is Verdict.TRANSIENT:
                raise DependencyDownError("store", str(error)) from error
            raise LeftError(f"its original cannot be fetched: {error}") from None
        try:
            fields: Mapping[str, Any] = json.loads(stored.body)
            headers = tuple((str(name), _bytes(held)) for name, held in fields["headers"])
            return _bytes(fields["key"]), _bytes(fields["value"]), headers
        except (ValueError, KeyError, TypeError) as error:
            raise LeftError(f"what is stored of it is no record: {type(error).__name__}: {error}") from None


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
