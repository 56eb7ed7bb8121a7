"""Dead letters: the original byte for byte with the reason in headers, or a pointer to it where it is too large."""

import base64
import json

from streamproc.records.record import Headers, OutputRecord, Record
from streamproc.records.stored import NewObject
from streamproc.records.topics import MAX_FORWARDED_BYTES

URI_HEADER = "sp-record-uri"
_FRAME_BYTES = 1024
"""What Kafka adds to a record: lengths, offsets, the batch's header."""
_MOST_KEY_BYTES = 64 * 1024


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Bytes of a record on the wire, or a little more."""
    names = sum(len(name.encode()) + len(held or b"") + 10 for name, held in headers)
    return len(key or b"") + len(value or b"") + names + _FRAME_BYTES


def fits(output: OutputRecord, most: int = MAX_FORWARDED_BYTES) -> bool:
    """Whether a topic takes a record: a compressed original can unpack to more than any topic takes."""
    return size_of(output.key, output.value, output.headers) <= most


def store_whole(
    record: Record, output: OutputRecord, own_headers: Headers, bucket: str
) -> tuple[NewObject, OutputRecord]:
    """Write the original as JSON (bytes in base64), and point to it from a dead letter that has only our headers."""
    path = f"dead-letters/{record.topic}/{record.partition}/{record.offset}.json"
    original = {
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": [[name, _text(value)] for name, value in record.headers],
    }
    key = record.key if len(record.key or b"") <= _MOST_KEY_BYTES else None
    stored = NewObject(path, json.dumps(original).encode())
    headers = (*own_headers, (URI_HEADER, stored.uri(bucket).encode()))
    return stored, OutputRecord(output.topic, key, None, headers)


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
