"""Embeddings: what the network heard in a stretch of audio, as numbers; of a channel from those of its segments.

Packed: float32, little-endian, one number after the other. So it is immutable, compared by its bits, and an eighth of
a tuple.
"""

import io
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamproc.records.analysis import Analysis, SegmentAnalysis
from streamproc.records.identity import content_of, object_name
from streamproc.records.stored import NewObject

MOST_DIM = 8192
"""Numbers of one embedding. emotion2vec+ has 1,024 at most."""
_FLOAT = np.dtype("<f4")
_NPY = (1, 0)


class Computed(NamedTuple):
    """A segment of a recording that is being put together."""

    segment: SegmentAnalysis
    embedding: bytes
    """Packed; empty where nobody wants it."""


def pack(numbers: NDArray[np.floating]) -> bytes:
    """[dim] -> packed."""
    return np.ascontiguousarray(numbers, _FLOAT).tobytes()


def unpack(packed: bytes) -> NDArray[np.float32]:
    """Packed -> [dim], read-only."""
    return np.frombuffer(packed, _FLOAT)


def problem_of(packed: bytes, dim: int) -> str:
    """Why this is no embedding of so many numbers; empty when it is one."""
    if len(packed) != dim * _FLOAT.itemsize:
        return f"it has {len(packed)} bytes, not {dim} float32"
    return "" if np.isfinite(unpack(packed)).all() else "it holds numbers that are not finite"


def of_channels(found: Sequence[Computed], channels: Collection[int], dim: int) -> tuple[bytes, ...]:
    """The embedding of each channel, from those of its segments in whatever order they were found.

    ``e = sum_i(speech_ms_i * e_i) / sum_i(speech_ms_i)``, each number by itself, as scores are (``aggregate``); summed
    in the order of the recording in fp64 and rounded once. One segment gives its own unchanged, so audio of at most
    15 s equals the reference model (G3). A channel in which nobody speaks has ``dim`` times NaN.
    """
    ordered = sorted(found, key=lambda one: one.segment.index)
    return tuple(_mean([one for one in ordered if one.segment.channel == channel], dim) for channel in channels)


def _mean(found: Sequence[Computed], dim: int) -> bytes:
    if not found:
        return pack(np.full(dim, np.nan))
    if len(found) == 1:
        return found[0].embedding
    total = np.zeros(dim)
    for one in found:
        total += one.segment.speech_ms * unpack(one.embedding).astype(np.float64)
    return pack(total / sum(one.segment.speech_ms for one in found))


def embedding(work_key: str, analysis: Analysis) -> NewObject:
    """A pure value of its content key, and named by it: numpy's ``.npy``, version 1.0, float32 [channels, dim].

    The row of a channel in which nobody speaks is NaN. Needs an analysis that has embeddings.
    """
    out = io.BytesIO()
    rows = np.stack([unpack(packed) for packed in analysis.embeddings])
    np.lib.format.write_array(out, rows, _NPY, allow_pickle=False)
    name = object_name(content_of(work_key), "embedding.npy")
    return NewObject(name, out.getvalue(), "application/octet-stream")
