"""What goes over the socket between the main process and a decoder child: JSON objects, one or more lines a datagram.

To the child: ``{"job", "channels"}`` together with the recording's descriptor, and ``{"slot", "generation"}`` for each
slot it wants. From the child, tagged by ``kind``: ``hello`` once; for each job ``reached`` as audio goes by beyond the
first minute, ``want`` and ``segment`` in turns, and one ``decoded`` or ``failed``; ``crashed`` before it ends by an
error of its own. The bodies of ``want``, ``segment``, ``decoded`` and ``failed`` are the events of
``records/decoding.py``. Each datagram wakes the other side, so what can go together does.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Any

from streamproc.records.analysis import AudioInfo
from streamproc.records.decoding import Decoded, DecodeFailed, DecoderEvent, SegmentReady, SlotWanted

MOST_BYTES = 16_384
"""No message is near this; a datagram that is longer is cut by the kernel and does not parse."""


class Kind(StrEnum):
    """What a message of the child is about."""

    HELLO = "hello"
    REACHED = "reached"
    WANT = "want"
    SEGMENT = "segment"
    DECODED = "decoded"
    FAILED = "failed"
    CRASHED = "crashed"


_KINDS: dict[type[DecoderEvent], Kind] = {
    SlotWanted: Kind.WANT,
    SegmentReady: Kind.SEGMENT,
    Decoded: Kind.DECODED,
    DecodeFailed: Kind.FAILED,
}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (*_KINDS, AudioInfo)}


def encode(**values: Any) -> bytes:
    """One message."""
    return json.dumps(values).encode()


def encode_event(event: DecoderEvent) -> bytes:
    """One of the child's events as a message."""
    return encode(kind=_KINDS[type(event)], **_shallow(event))


def join(messages: Sequence[bytes]) -> bytes:
    """One datagram of some messages. JSON as it is written here has no line break in it."""
    return b"\n".join(messages)


def split(datagram: bytes) -> Sequence[bytes]:
    """The inverse of ``join``."""
    return datagram.split(b"\n")


def _shallow(value: Any) -> dict[str, Any]:
    """``dataclasses.asdict`` without its copies and its search for fields, which cost more than the message."""
    return {
        name: _shallow(one) if isinstance(one := getattr(value, name), AudioInfo) else one
        for name in _FIELDS[type(value)]
    }
