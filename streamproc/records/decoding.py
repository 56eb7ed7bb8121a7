"""What the worker and its decoder children say to each other."""

from dataclasses import dataclass

from streamproc.arena import Lease
from streamproc.errors import Reason
from streamproc.records.analysis import AudioInfo
from streamproc.records.recording import Channels


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """One recording to decode."""

    job: int
    body: bytes
    channels: Channels


@dataclass(frozen=True, slots=True)
class SlotWanted:
    """The decoder of ``job`` has a segment ready and waits for a slot."""

    job: int


@dataclass(frozen=True, slots=True)
class SegmentReady:
    """A segment's waveform is in its slot."""

    job: int
    lease: Lease
    index: int
    channel: int
    start_ms: int
    end_ms: int
    speech_ms: int
    level_dbfs: float
    samples: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The last segment of ``job`` was sent. ``speech_ms`` 0 means silence: no segment was."""

    job: int
    info: AudioInfo
    segments: int
    speech_ms: int


@dataclass(frozen=True, slots=True)
class DecodeFailed:
    """``job`` will not be decoded; leases granted to it and not reported by SegmentReady are free again.

    ``transient`` when the child died or hung rather than refused: another try may succeed. Of a child that died the
    reason is ``killed_worker``.
    """

    job: int
    reason: Reason
    message: str
    transient: bool = False


DecoderEvent = SlotWanted | SegmentReady | Decoded | DecodeFailed
