"""Which decoder a recording needs, by its first bytes: never by its name or its content type."""

from enum import StrEnum
from typing import Protocol

from streamproc.audio.limits import refused
from streamproc.errors import Reason

_MOST_ID3_TAGS = 8
_ID3_HEADER = 10
_EBML = b"\x1a\x45\xdf\xa3"
_FLAC = b"fLaC"
# Bits per second / 1000 of layer III by the header's bitrate index (ISO 11172-3 and 13818-3); 0 and 15 are not usable.
_BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_RATES_1 = (44_100, 48_000, 32_000, 0)
_LAYER_3 = 0b01
_VERSION_1, _VERSION_2, _VERSION_25 = 0b11, 0b10, 0b00


class Kind(StrEnum):
    """What the bytes are; the codec inside WAV, MP4 and WebM is checked by their decoders."""

    WAV = "wav"
    FLAC = "flac"
    VORBIS = "vorbis"
    OPUS = "opus"
    MP3 = "mp3"
    MP4 = "mp4"
    WEBM = "webm"


class Bytes(Protocol):
    """What sniffing reads: bytes or a memory map, of which only the slices asked for are touched."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> bytes: ...


def sniff(data: Bytes) -> Kind:
    """Name the kind of recording. Raises PoisonError(format_unsupported) for anything that is not on the list."""
    head = data[0:64]
    if not head:
        raise refused(Reason.FORMAT_UNSUPPORTED, "the recording is empty")
    if head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE":
        return Kind.WAV
    if head[:4] == b"OggS":
        return _ogg(head)
    if head[4:8] == b"ftyp":
        return Kind.MP4
    if head[:4] == _EBML:
        return Kind.WEBM
    start = after_id3(data)
    if data[start : start + 4] == _FLAC:
        return Kind.FLAC
    if _is_mp3(data, start):
        return Kind.MP3
    raise refused(
        Reason.FORMAT_UNSUPPORTED,
        f"the first bytes {head[:8].hex()} are no WAV, FLAC, Ogg Vorbis or Opus, MP3, MP4 or WebM",
    )


def _ogg(head: bytes) -> Kind:
    """The codec by the first packet, which stands right behind the first page's segment table (RFC 3533)."""
    packet = head[27 + head[26] :] if len(head) > 26 else b""  # noqa: PLR2004  # offset of the table's length
    if packet.startswith(b"OpusHead"):
        return Kind.OPUS
    if packet.startswith(b"\x01vorbis"):
        return Kind.VORBIS
    raise refused(Reason.FORMAT_UNSUPPORTED, "an Ogg stream that begins with neither Vorbis nor Opus")


def after_id3(data: Bytes) -> int:
    """Offset behind the ID3v2 tags; their size has seven bits a byte (id3.org, 3.1)."""
    start = 0
    for _ in range(_MOST_ID3_TAGS):
        tag = data[start : start + _ID3_HEADER]
        if len(tag) < _ID3_HEADER or tag[:3] != b"ID3" or any(byte & 0x80 for byte in tag[6:]):
            break
        size = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]
        footer = _ID3_HEADER if tag[5] & 0x10 else 0
        start += _ID3_HEADER + size + footer
    return start


def _is_mp3(data: Bytes, start: int) -> bool:
    """Whether a frame begins here and another one, or the end of the data, follows it.

    One header alone is eleven bits of sync: one random file in some thousands has it.
    """
    length = _mp3_frame(data[start : start + 4])
    if not length:
        return False
    following = data[start + length : start + length + 4]
    return len(following) < len(b"sync") or bool(_mp3_frame(following)) or following.startswith(b"TAG")


def _mp3_frame(header: bytes) -> int:
    """Length in bytes of the layer III frame with this header; 0 when it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:  # noqa: PLR2004  # the sync bits
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    if layer != _LAYER_3 or version not in {_VERSION_1, _VERSION_2, _VERSION_25}:
        return 0
    bitrates, samples = (_BITRATES_1, 1152) if version == _VERSION_1 else (_BITRATES_2, 576)
    bitrate = bitrates[header[2] >> 4] * 1000
    rate = _RATES_1[header[2] >> 2 & 3] // {_VERSION_1: 1, _VERSION_2: 2, _VERSION_25: 4}[version]
    if not bitrate or not rate:
        return 0
    return samples // 8 * bitrate // rate + (header[2] >> 1 & 1)
