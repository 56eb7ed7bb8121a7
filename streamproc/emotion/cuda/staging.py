"""Staging: the waveforms of a pass one behind the other, so that one copy takes all of them to the device.

    [items] int64 samples of each, [items] int64 frames of each, float32 samples of all, with nothing between them

They are padded and normalised on the device, by ``unpack``. It runs on any device and never waits for it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamproc.emotion.cuda.bucket import Bucket
from streamproc.emotion.engine import Wave
from streamproc.emotion.network import NORM_EPS, Convolution, frames

COUNT_BYTES, SAMPLE_BYTES = 8, 4
HEADER = 2
"""Counts of each clip: its samples and its frames."""


class Batch(NamedTuple):
    """What the network takes, on the device."""

    waves: Tensor
    """[items, samples] float32, normalised, zero behind each clip's end."""
    frames: Tensor
    """[items] int64, at least 1."""


def size(bucket: Bucket, samples: int) -> int:
    """Bytes of a pass whose clips have so many samples together."""
    return bucket.items * HEADER * COUNT_BYTES + samples * SAMPLE_BYTES


def pack(waves: Sequence[Wave], bucket: Bucket, stem: Sequence[Convolution], target: NDArray[np.uint8]) -> int:
    """Fill ``target`` with at most ``bucket.items`` waveforms of 1-D float32; how many bytes it took.

    Places of the bucket that no clip takes become clips of no sample. Raises ValueError for a target that is too small.
    """
    used = size(bucket, sum(map(len, waves)))
    if used > len(target):
        raise ValueError(f"{used} bytes of waveforms do not fit into {len(target)}")
    head = size(bucket, 0)
    counts = target[:head].view(np.int64).reshape(HEADER, bucket.items)
    counts[:] = [[0], [1]]
    samples = target[head:used].view(np.float32)
    start = 0
    for place, wave in enumerate(waves):
        counts[:, place] = len(wave), frames(len(wave), stem)
        samples[start : start + len(wave)] = wave
        start += len(wave)
    return used


def unpack(packed: Tensor, bucket: Bucket, stem: Sequence[Convolution]) -> Batch:
    """What ``pack`` made, on any device, and whatever lies behind it -> what ``network.collate`` makes, padded further.

    Means and variances are summed up in double precision: so a clip's numbers have no bit from the length that it is
    padded to, and are those of ``collate`` to 1e-6.
    """
    head = size(bucket, 0)
    counts = packed[:head].view(torch.int64).view(HEADER, bucket.items)
    samples = packed[head:].view(torch.float32)
    lengths = counts[0][:, None]
    starts = lengths.cumsum(0) - lengths
    place = torch.arange(bucket.samples(stem), device=packed.device)
    past = place >= lengths
    # Behind a clip lies the next one, or what an earlier pass left: nothing of it may take part, be it NaN.
    waves = samples[(starts + place).clamp_max_(len(samples) - 1)].masked_fill_(past, 0.0)
    # Rule 1: mean and variance are the clip's own.
    count = lengths.clamp_min(1)
    mean = waves.sum(1, keepdim=True, dtype=torch.float64) / count
    waves = (waves - mean.float()).masked_fill_(past, 0.0)
    variance = waves.square().sum(1, keepdim=True, dtype=torch.float64) / count
    # An infinite variance would make silence of the clip; it is to be told from one.
    scale = (variance + NORM_EPS).rsqrt().masked_fill_(~variance.isfinite(), torch.nan)
    return Batch(waves * scale.float(), counts[1])
