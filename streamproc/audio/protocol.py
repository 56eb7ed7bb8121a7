"""What goes over the socket between the main process and a decoder child: one JSON object per datagram.

To the child: ``{"job", "channels"}`` together with the recording's descriptor, and ``{"slot", "generation"}`` for each
slot it wants. From the child, tagged by ``kind``: ``hello`` once; for each job ``reached`` as audio goes by, ``want``
and ``segment`` in turns, and one ``decoded`` or ``failed``; ``crashed`` before it ends by an error of its own. The
bodies of ``want``, ``segment``, ``decoded`` and ``failed`` are the events of ``records/decoding.py``.
"""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Any

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


def encode(**fields: Any) -> bytes:
    """One message."""
    return json.dumps(fields).encode()


def encode_event(event: DecoderEvent) -> bytes:
    """One of the child's events as a message."""
    return encode(kind=_KINDS[type(event)], **asdict(event))
