"""WAV without a foreign parser: its header is a few lines, and it is what most recordings are.

libsndfile reads a WAV that was cut, or whose header claims more than there is, without a word, and gives nothing for
a header that a streaming writer never closed. Both matter here, so the header is ours; the samples equal libsndfile's
bit for bit.
"""

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.audio.limits import refused
from streamproc.audio.sniff import Bytes
from streamproc.errors import PoisonError, Reason

_MOST_CHUNKS = 256
_RIFF_HEADER = 12
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")  # tag, channels, rate, bytes a second, bytes a frame, bits a sample
_EXTENSIBLE = 0xFFFE
_EXTENSIBLE_TAG = 24  # offset of the sub-format, whose first two bytes are the tag
_IN_DS64 = 0xFFFFFFFF
_OPEN = 0x7FFFF000
"""The least of the sizes that writers leave when they cannot seek (SoX; others 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)."""
_CODECS = {
    (1, 8): "pcm_u8",
    (1, 16): "pcm_s16le",
    (1, 24): "pcm_s24le",
    (1, 32): "pcm_s32le",
    (3, 32): "pcm_f32le",
    (3, 64): "pcm_f64le",
    (6, 8): "pcm_alaw",
    (7, 8): "pcm_mulaw",
}


@dataclass(frozen=True, slots=True)
class WavLayout:
    """Where the samples are and what they are. ``frame_bytes`` is one sample of every channel."""

    codec: str
    sample_rate: int
    channel_count: int
    frame_bytes: int
    offset: int
    frames: int


def read_layout(data: Bytes) -> WavLayout:
    """Walk the chunks up to the samples.

    Raises PoisonError: format_unsupported for a codec outside the list (compressed WAV has a history of overflows in
    every library), decode_failed for a broken header and for fewer samples than are declared. A data chunk declared
    as 2 GiB less 4 KiB or more that is not there, or as 0 in a file whose RIFF size was not closed either, comes from
    a writer that could not seek: everything up to the end is samples.
    """
    at, fields, long_size = _RIFF_HEADER, b"", None
    for _ in range(_MOST_CHUNKS):
        header = data[at : at + _CHUNK.size]
        if len(header) < _CHUNK.size:
            raise _broken("no data chunk")
        name, size = _CHUNK.unpack(header)
        at += _CHUNK.size
        if name == b"data":
            return _layout(fields, at, _present(data, at, size, long_size))
        if name == b"fmt ":
            fields = data[at : at + min(size, 40)]
        elif name == b"ds64":
            long_size = int.from_bytes(data[at + 8 : at + 16], "little")
        at += size + size % 2
    raise _broken(f"no data chunk among the first {_MOST_CHUNKS}")


def _broken(what: str) -> PoisonError:
    return refused(Reason.DECODE_FAILED, f"WAV: {what}")


def _present(data: Bytes, at: int, declared: int, long_size: int | None) -> int:
    """Bytes of samples. Raises PoisonError(decode_failed) when the file was cut."""
    rest = max(0, len(data) - at)
    if declared == _IN_DS64 and long_size:
        declared = rest if long_size == 2**64 - 1 else long_size
    elif declared >= _OPEN:
        return min(declared, rest)
    if declared == 0 and int.from_bytes(data[4:8], "little") + 8 != len(data):
        return rest
    if declared > rest:
        raise _broken(f"truncated: {declared} bytes of samples are declared and {rest} are there")
    return declared


def _layout(fields: bytes, offset: int, size: int) -> WavLayout:
    if len(fields) < _FORMAT.size:
        raise _broken("no format chunk before the data")
    tag, channels, rate, _, frame_bytes, bits = _FORMAT.unpack_from(fields)
    if tag == _EXTENSIBLE and len(fields) >= _EXTENSIBLE_TAG + 2:
        tag = int.from_bytes(fields[_EXTENSIBLE_TAG : _EXTENSIBLE_TAG + 2], "little")
    codec = _CODECS.get((tag, bits))
    if codec is None:
        raise refused(Reason.FORMAT_UNSUPPORTED, f"WAV with format tag {tag:#06x} and {bits} bits")
    if channels == 0 or frame_bytes != channels * bits // 8:
        raise _broken(f"{channels} channels of {bits} bits do not make frames of {frame_bytes} bytes")
    return WavLayout(codec, rate, channels, frame_bytes, offset, size // frame_bytes)


def read_blocks(descriptor: int, layout: WavLayout, block_frames: int) -> Iterator[NDArray[np.float32]]:
    """Yield (n, channels) float32 blocks; ends early when the file is shorter than its layout."""
    at, end = layout.offset, layout.offset + layout.frames * layout.frame_bytes
    while at < end:
        raw = os.pread(descriptor, min(block_frames * layout.frame_bytes, end - at), at)
        whole = len(raw) // layout.frame_bytes * layout.frame_bytes
        if not whole:
            return
        yield to_float(raw[:whole], layout.codec).reshape(-1, layout.channel_count)
        at += whole


def to_float(raw: bytes, codec: str) -> NDArray[np.float32]:
    """Samples as float32; full scale of an integer is 1."""
    return _READERS[codec](raw)


def _f64(raw: bytes) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused further on
        return np.frombuffer(raw, "<f8").astype(np.float32)


def _s24(raw: bytes) -> NDArray[np.float32]:
    wide = np.zeros((len(raw) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    return wide.reshape(-1).view("<i4").astype(np.float32) / np.float32(2**31)


def _s16(raw: bytes) -> NDArray[np.float32]:
    samples = np.frombuffer(raw, "<i2").astype(np.float32)
    samples *= np.float32(2**-15)  # a power of two: what dividing by its inverse gives, in place
    return samples


def _u8(raw: bytes) -> NDArray[np.float32]:
    return (np.frombuffer(raw, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)


def _mulaw(code: int) -> int:
    """One sample of G.711 mu-law on 16 bits."""
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw(code: int) -> int:
    """One sample of G.711 A-law on 16 bits."""
    code ^= 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = mantissa + 8 if exponent == 0 else (mantissa + 0x108) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


_MULAW = np.array([_mulaw(code) for code in range(256)], np.float32) / np.float32(2**15)
_ALAW = np.array([_alaw(code) for code in range(256)], np.float32) / np.float32(2**15)

_READERS: Mapping[str, Callable[[bytes], NDArray[np.float32]]] = {
    "pcm_u8": _u8,
    "pcm_s16le": _s16,
    "pcm_s24le": _s24,
    "pcm_s32le": lambda raw: np.frombuffer(raw, "<i4").astype(np.float32) / np.float32(2**31),
    "pcm_f32le": lambda raw: np.frombuffer(raw, "<f4").astype(np.float32, copy=False),
    "pcm_f64le": _f64,
    "pcm_alaw": lambda raw: _ALAW[np.frombuffer(raw, np.uint8)],
    "pcm_mulaw": lambda raw: _MULAW[np.frombuffer(raw, np.uint8)],
}
