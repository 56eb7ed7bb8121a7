"""The machine's own rate of fp32 matrix products: the unit that an engine's speed is told in."""

import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.linears import PackedLinear
from streamproc.emotion.network import Network, collate

ROWS, INPUTS, OUTPUTS = 760, 1024, 4096
"""A layer of emotion2vec+ large on a clip of 15 s."""
TRIALS = 7
CLIP_S = 5


@torch.inference_mode()
def gemm_gflops() -> float:
    """10^9 floating-point operations a second, a product and a sum being two; the best of several trials.

    Asked of each library that the engine may choose from, on torch's present number of threads.
    """
    plain, rows = nn.Linear(INPUTS, OUTPUTS), torch.ones(ROWS, INPUTS)
    layers: list[nn.Module] = [plain]
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch left it without types
        layers.append(PackedLinear(plain))
    best = min(_seconds(layer, rows) for layer in layers for _ in range(TRIALS))
    return 2 * ROWS * INPUTS * OUTPUTS / best / 1e9


def gflop_per_second(network: Network) -> float:
    """10^9 operations for one second of audio in a clip of 5 s, as torch's own counter finds them in our graph."""
    clip = torch.from_numpy(np.zeros(CLIP_S * SAMPLE_RATE, np.float32))
    batch, frames = collate([clip], network.config.stem)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(batch, frames)
    return float(counter.get_total_flops()) / CLIP_S / 1e9


def _seconds(layer: nn.Module, rows: Tensor) -> float:
    start = time.perf_counter()
    layer(rows)
    return time.perf_counter() - start
