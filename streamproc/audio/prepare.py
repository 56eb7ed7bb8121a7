"""One opened recording -> its segments, in the order of (start, channel)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.audio.limits import refused
from streamproc.audio.resample import Resampler
from streamproc.audio.segment import Segment, Segmenter
from streamproc.audio.stream import Stream
from streamproc.errors import Reason
from streamproc.records.analysis import MIX
from streamproc.records.recording import Channels

LEAST_MS = 25


def duration_ms(frames: int, sample_rate: int) -> int:
    """Length of a recording, rounded down: under ``LEAST_MS`` exactly when it is too short to analyse."""
    return frames * 1000 // sample_rate


def prepare(stream: Stream, channels: Channels, session: Any) -> Iterator[Segment]:
    """Mix or split, resample, segment. Memory does not grow with the recording.

    The mix is the mean over the channels, as in the reference (FFmpeg's own downmix is 3 dB louder). Raises PoisonError
    as the stream's blocks do, and decode_failed for samples so large that their mean overflows.
    """
    mix = channels == "mix"
    names = [MIX] if mix else range(stream.channel_count)
    segmenters = [Segmenter(channel, session) for channel in names]
    resampler = Resampler(stream.sample_rate, len(segmenters))
    waiting: list[Segment] = []
    frames = 0
    for block in stream.blocks:
        frames += len(block)
        tracks = _mean(block) if mix else block
        samples = resampler.feed(tracks)
        if samples is not tracks:  # else they were looked at
            _finite(samples)
        for segmenter, wave in zip(segmenters, samples.T, strict=True):
            waiting += segmenter.feed(wave)
        yield from _settled(waiting, segmenters)
    if duration_ms(frames, stream.sample_rate) < LEAST_MS:
        return
    for segmenter, wave in zip(segmenters, _finite(resampler.finish()).T, strict=True):
        waiting += segmenter.feed(wave)
        waiting += segmenter.finish()
    yield from sorted(waiting, key=_place)


def _place(segment: Segment) -> tuple[int, int]:
    return segment.start, segment.channel


def _settled(waiting: list[Segment], segmenters: list[Segmenter]) -> Iterator[Segment]:
    """Take out of ``waiting``, in order, what no channel can come before any more."""
    horizon = min(segmenter.earliest for segmenter in segmenters)
    ready = sorted((s for s in waiting if s.start < horizon), key=_place)
    waiting[:] = [s for s in waiting if s.start >= horizon]
    yield from ready


def _mean(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the channels, as one. Raises PoisonError where it overflows."""
    if block.shape[1] == 1:
        return block + np.float32(0)  # as numpy's mean makes -0 to 0; of one channel it takes ten times as long
    with np.errstate(over="ignore"):
        mean: NDArray[np.float32] = block.mean(axis=1, keepdims=True)
    return _finite(mean)


def _finite(tracks: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(tracks).all():
        raise refused(Reason.DECODE_FAILED, "samples too large to be mixed or resampled")
    return tracks
