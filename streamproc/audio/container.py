"""MP3, MP4 and WebM, FLAC whose length is not in its header, and Ogg of several parts, by FFmpeg (PyAV).

FFmpeg reads more kinds of bytes than anybody can check, so it is told what to expect: the demuxer that the magic
asks for, a short list of codecs, no protocols. It has one descriptor to read from and no other.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streamproc.audio.limits import readable, refused
from streamproc.audio.sniff import Kind
from streamproc.audio.stream import BLOCK_SAMPLES, Stream
from streamproc.errors import Reason

_DEMUXERS = {
    Kind.MP4: "mov,mp4,m4a,3gp,3g2,mj2",
    Kind.WEBM: "matroska,webm",
    Kind.FLAC: "flac",
    Kind.MP3: "mp3",
    Kind.VORBIS: "ogg",
    Kind.OPUS: "ogg",
}
_LENGTH_IS_A_GUESS = frozenset({Kind.MP3, Kind.VORBIS, Kind.OPUS})
"""An MP3 without a Xing header is measured by its first frame's bitrate, an Ogg of several parts by one of them."""
_DECODERS = ("aac", "alac", "flac", "mp3float", "opus", "vorbis")
_SCALES = {"u8": 2**7, "s16": 2**15, "s32": 2**31, "flt": 1, "dbl": 1}
_MP4_SHORT_BY_S = 0.5
"""An MP4 track that ends this long before its declared end was cut; encoder delay and padding are far below it."""


@contextmanager
def open_container(kind: Kind, descriptor: int) -> Iterator[Stream]:
    """Open by descriptor and decode the first frame, since a header's rate may be half of what its codec gives.

    The first audio track is the recording. Raises PoisonError: format_unsupported without an audio track of a codec
    on the list, decode_failed.
    """
    with open(descriptor, "rb", closefd=False) as file, _opened(kind, file) as container:
        track = next(iter(container.streams.audio), None)
        if track is None:
            raise refused(Reason.FORMAT_UNSUPPORTED, f"{kind}: there is no audio track")
        context = track.codec_context
        if context is None or context.name not in _DECODERS:
            raise refused(Reason.FORMAT_UNSUPPORTED, f"{kind}: the audio track has a codec that is not on the list")
        context.thread_count = 1
        frames = _frames(container, track, damaged=kind is Kind.MP3)
        with _translated():
            first = next(frames, None)
        if first is None:
            raise refused(Reason.DECODE_FAILED, f"{kind}: no audio could be decoded")
        rate = first.sample_rate
        known = track.duration and kind not in _LENGTH_IS_A_GUESS
        declared = int(track.duration * track.time_base * rate) if known else None
        short_by = int(_MP4_SHORT_BY_S * rate) if kind is Kind.MP4 else None
        channels = first.layout.nb_channels
        codec = context.codec.canonical_name
        yield Stream(rate, channels, codec, declared, short_by, _blocks(first, frames))


def _opened(kind: Kind, file: io.BufferedReader) -> Any:
    demuxer = _DEMUXERS[kind]
    options = {
        "protocol_whitelist": "none",
        "format_whitelist": demuxer,
        "codec_whitelist": ",".join(_DECODERS),
    }
    with _translated():
        return av.open(file, format=demuxer.split(",")[0], options=options, metadata_errors="replace")


def _frames(container: Any, track: Any, *, damaged: bool) -> Iterator[Any]:
    """Decoded frames. With ``damaged`` what is no frame is stepped over.

    MP3 has no container: where files were joined, their tags stand between the frames, and players step over them.
    """
    for packet in container.demux(track):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            if not damaged:
                raise
            continue
        yield from frames


def _blocks(first: Any, following: Iterator[Any]) -> Iterator[NDArray[np.float32]]:
    """Frames gathered into blocks: a codec's frame is some 20 ms, too little for what follows."""
    rate, channels = first.sample_rate, first.layout.nb_channels
    gathered: list[NDArray[np.float32]] = []
    samples = 0
    frames = chain([first], following)
    while True:
        with _translated():
            frame = next(frames, None)
        if frame is None:
            break
        if frame.sample_rate != rate or frame.layout.nb_channels != channels:
            raise refused(Reason.DECODE_FAILED, "sample rate or channels change in the middle")
        gathered.append(to_float(frame))
        samples += gathered[-1].size
        if samples >= BLOCK_SAMPLES:
            yield np.concatenate(gathered)
            gathered, samples = [], 0
    if gathered:
        yield np.concatenate(gathered)


def to_float(frame: Any) -> NDArray[np.float32]:
    """(n, channels) float32 of one decoded frame; full scale of an integer is 1."""
    name = frame.format.name.removesuffix("p")
    scale = _SCALES.get(name)
    if scale is None:
        raise refused(Reason.FORMAT_UNSUPPORTED, f"samples of the kind {name}")
    raw: NDArray[Any] = frame.to_ndarray()
    samples = raw.T if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels)
    if name == "u8":
        return (samples.astype(np.float32) - np.float32(scale)) / np.float32(scale)
    if scale == 1:
        return samples.astype(np.float32)
    return samples.astype(np.float32) / np.float32(scale)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise refused(Reason.DECODE_FAILED, readable(error)) from error
