"""Undecoded bytes -> blocks of float32 at the file's own rate. A recording never stands in memory whole.

Runs in a sandboxed child only: our own reader for WAV, libsndfile for FLAC and Ogg, FFmpeg for the rest.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streamproc.audio.container import open_container
from streamproc.audio.limits import Limits, refused
from streamproc.audio.sndfile import open_sndfile
from streamproc.audio.sniff import Kind, after_id3, sniff
from streamproc.audio.stream import BLOCK_SAMPLES, Stream
from streamproc.audio.wav import WavLayout, read_blocks, read_layout
from streamproc.errors import Reason

_FLAC_TOTAL = 21
_FLAC_TOTAL_BITS = 2**36 - 1
"""The low 36 bits of the five bytes at that offset are the number of frames, 0 when it is not known (RFC 9639, 8.2)."""

_OGG_STARTS = (b"OggS\0\x02", b"OggS\0\x06")
"""How the first page of a stream begins, the second one when it is the last as well (RFC 3533, 6)."""


@contextmanager
def open_stream(descriptor: int, limits: Limits) -> Iterator[Stream]:
    """Open the recording behind a seekable descriptor, which stays the caller's.

    Raises PoisonError: format_unsupported, audio_limits, audio_too_long, decode_failed; so do the stream's blocks. A
    compressed recording that was cut is refused where its format lets that be seen (FLAC, MP4); MP3, Ogg and WebM
    decode without an error up to the cut, and what comes is the recording.
    """
    kind, layout, by_ffmpeg = _look(descriptor)
    os.lseek(descriptor, 0, os.SEEK_SET)
    opened: AbstractContextManager[Stream]
    if layout:
        opened = _open_wav(descriptor, layout, limits)
    elif by_ffmpeg:
        opened = open_container(kind, descriptor)
    else:
        opened = open_sndfile(kind, descriptor)
    with opened as stream:
        limits.check_format(stream.sample_rate, stream.channel_count)
        limits.check_frames(stream.frames or 0, stream.sample_rate)
        yield replace(stream, blocks=_checked(stream, limits))


def _look(descriptor: int) -> tuple[Kind, WavLayout | None, bool]:
    """Kind, the layout of a WAV, and whether FFmpeg reads it whole where libsndfile would not, or not at all."""
    if not os.fstat(descriptor).st_size:
        return sniff(b""), None, False
    with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as data:
        kind = sniff(data)
        layout = read_layout(data) if kind is Kind.WAV else None
        match kind:
            case Kind.FLAC:
                by_ffmpeg = _is_endless(data)
            case Kind.VORBIS | Kind.OPUS:
                by_ffmpeg = _has_parts(data)
            case _:
                by_ffmpeg = True
    return kind, layout, by_ffmpeg


def _is_endless(flac: mmap.mmap) -> bool:
    """Whether it does not say how long it is."""
    start = after_id3(flac)
    return not int.from_bytes(flac[start + _FLAC_TOTAL : start + _FLAC_TOTAL + 5]) & _FLAC_TOTAL_BITS


def _has_parts(ogg: mmap.mmap) -> bool:
    """Whether another stream begins in it: libsndfile would end with the first, without a word.

    These bytes inside a packet are one chance in 2**47 a byte, and lead to another decoder of the same samples.
    """
    return any(ogg.find(start, len(start)) >= 0 for start in _OGG_STARTS)


@contextmanager
def _open_wav(descriptor: int, layout: WavLayout, limits: Limits) -> Iterator[Stream]:
    limits.check_format(layout.sample_rate, layout.channel_count)  # before a block is sized by the channels
    blocks = read_blocks(descriptor, layout, BLOCK_SAMPLES // layout.channel_count)
    yield Stream(layout.sample_rate, layout.channel_count, layout.codec, layout.frames, 0, blocks)


def _checked(stream: Stream, limits: Limits) -> Iterator[NDArray[np.float32]]:
    """The blocks, each looked at: a header may lie, and a float may be no number."""
    frames = 0
    for block in stream.blocks:
        frames += len(block)
        limits.check_frames(frames, stream.sample_rate)
        if not np.isfinite(block).all():
            raise refused(Reason.DECODE_FAILED, f"a sample before {frames / stream.sample_rate:.1f} s is no number")
        yield block
    if stream.short_by is not None and frames < (stream.frames or 0) - stream.short_by:
        raise refused(
            Reason.DECODE_FAILED, f"truncated: {stream.frames} frames are declared and {frames} could be decoded"
        )
