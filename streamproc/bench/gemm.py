"""The machine's own rate of fp32 matrix products: the unit that an engine's speed is told in."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from streamproc.bench.waves import Wave
from streamproc.emotion.choice import made, noise
from streamproc.emotion.linears import FP32
from streamproc.emotion.network import Network, collate

ROWS, INPUTS, OUTPUTS = 760, 1024, 4096
"""A layer of emotion2vec+ large on a clip of 15 s."""
TRIALS = 7


class Product:
    """One fp32 product, by the fastest of the libraries that the engine may choose from."""

    @torch.inference_mode()
    def __init__(self) -> None:
        self._rows = noise(ROWS, INPUTS)
        linear = nn.Linear(INPUTS, OUTPUTS)
        expected = linear(self._rows)
        found = (made(kind, linear, self._rows, expected) for kind in FP32.values())
        layers = [layer for layer in found if layer is not None]
        self._layer = min(layers, key=lambda layer: min(_seconds(layer, self._rows) for _ in range(TRIALS)))

    @torch.inference_mode()
    def gflops(self) -> float:
        """10^9 floating-point operations a second of one trial on torch's threads; a product and a sum are two."""
        return 2 * ROWS * INPUTS * OUTPUTS / _seconds(self._layer, self._rows) / 1e9


def gflop(network: Network, waves: Sequence[Wave]) -> float:
    """10^9 operations for each waveform alone, in sum, as torch's own counter finds them in our graph."""
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415  # its import warns of what is not needed

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        for wave in waves:
            network(*collate([torch.from_numpy(wave)], network.config.stem))
    return float(counter.get_total_flops()) / 1e9


def _seconds(layer: nn.Module, rows: Tensor) -> float:
    start = time.perf_counter()
    layer(rows)
    return time.perf_counter() - start
