"""Avro for the tiers that keep values outside the process: fields to bytes and back, told from anybody else's bytes.

Layout: one version byte, the first 16 bytes of the SHA-256 of what follows, the fields in Avro. The schemas are our own
business, each read only as the version that wrote it: a tier is a cache, so bytes of a version that is not known here
are simply unknown.
"""

import hashlib
import io
import struct
from collections.abc import Mapping
from typing import Any

import fastavro

_CHECKSUM_BYTES = 16


class CheckedAvro:
    """One kind of value, ``what``, in one version of its schema."""

    def __init__(self, what: str, version: bytes, schema: Any) -> None:
        self._what = what
        self._version = version
        self._schema = fastavro.parse_schema(schema)

    def wrote(self, value: bytes) -> bool:
        """Whether it says that it is of this version."""
        return value[: len(self._version)] == self._version

    def to_bytes(self, fields: Mapping[str, Any]) -> bytes:
        """Encode; ``from_bytes`` gives back equal fields, bit for bit in every number."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._schema, fields)
        body = out.getvalue()
        return self._version + _checksum(body) + body

    def from_bytes(self, value: bytes) -> dict[str, Any]:
        """Decode. Raises ValueError for bytes that this version did not write, or that changed since."""
        head = len(self._version) + _CHECKSUM_BYTES
        body = value[head:]
        if not self.wrote(value):
            raise ValueError(f"not {self._what} of version {self._version.hex()}")
        if value[len(self._version) : head] != _checksum(body):
            raise ValueError(f"the checksum of {self._what} does not match its bytes")
        source = io.BytesIO(body)
        try:
            fields: Any = fastavro.schemaless_reader(source, self._schema, None)
        except (EOFError, IndexError, OverflowError, MemoryError, struct.error) as error:
            raise ValueError(f"not {self._what}: {type(error).__name__}: {error}") from None
        if source.tell() != len(body):
            raise ValueError(f"{self._what} has bytes after its end")
        return dict(fields)


def avro_record(name: str, **fields: object) -> dict[str, Any]:
    """The schema of a record: its fields' types by name."""
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECKSUM_BYTES]
