"""The network as a graph for other runtimes: one clip of any length, no padding, the same weights.

The stem's convolutions are matrix products here, too: ONNX Runtime and OpenVINO are faster with them.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.network import NORM_EPS, Block, Network, StemLayer, field, slopes


class Graph(nn.Module):
    """What ``Network`` is for a lone clip, without the parts that only batches need."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network
        heads = network.config.heads
        scales = torch.tensor(slopes(heads)) * network.alibi_scale.clamp_min(0).flatten()
        self._slopes = nn.Parameter(scales.view(1, heads, 1, 1), requires_grad=False)

    def forward(self, wave: Tensor) -> Tensor:
        """A normalised waveform [1, samples] -> logits [1, classes]."""
        network = self._network
        x = wave[:, :, None]
        for layer in network.stem:
            x = _stem(cast("StemLayer", layer), x)
        x = network.feature_proj(network.feature_norm(x))
        positions = x
        for convolution in network.positions:
            positions = convolution(positions.transpose(1, 2)).transpose(1, 2)
            positions = functional.gelu(functional.layer_norm(positions, positions.shape[-1:], eps=NORM_EPS))
        x = network.norm(torch.cat([network.extra_tokens, x + positions], 1))
        bias = self._bias(x.shape[1])
        for block in network.blocks:
            x = _block(cast("Block", block), x, bias)
        logits: Tensor = network.head(x[:, network.config.extra_tokens :].mean(1))
        return logits

    def _bias(self, tokens: int) -> Tensor:
        position = torch.arange(tokens) - self._network.config.extra_tokens
        real = position >= 0
        distance = (position[:, None] - position).abs() * (real[:, None] & real)
        return -self._slopes * distance


def _stem(layer: StemLayer, x: Tensor) -> Tensor:
    channels, kernel, stride = layer.shape
    inputs = x.shape[2]
    if inputs == 1:
        weight = layer.weight.view(channels, kernel, inputs).transpose(1, 2)
        x = functional.conv1d(x.transpose(1, 2), weight, stride=stride).transpose(1, 2)
    else:
        count = (x.shape[1] - kernel) // stride + 1
        cut = stride * inputs
        y = functional.linear(x[:, : stride * count].reshape(1, count, cut), layer.weight[:, :cut])
        for tap in range(stride, kernel):
            rows = x[:, tap : tap + stride * (count - 1) + 1 : stride]
            y = y + functional.linear(rows, layer.weight[:, tap * inputs : (tap + 1) * inputs])
        x = y
    return functional.gelu(layer.norm(x))


def _block(block: Block, x: Tensor, bias: Tensor) -> Tensor:
    _, tokens, dim = x.shape
    query, key, value = block.qkv(x).view(1, tokens, 3, block.heads, dim // block.heads).permute(2, 0, 3, 1, 4)
    weights = torch.softmax(query @ key.transpose(2, 3) * (dim // block.heads) ** -0.5 + bias, -1)
    x = block.norm1(x + block.proj((weights @ value).transpose(1, 2).reshape(1, tokens, dim)))
    out: Tensor = block.norm2(x + block.fc2(functional.gelu(block.fc1(x))))
    return out


@contextmanager
def exported(network: Network) -> Iterator[Path]:
    """An ONNX file, its weights beside it, gone after the block; takes half a minute for plus_large."""
    with TemporaryDirectory(prefix="graph-") as folder:
        path = Path(folder) / "network.onnx"
        samples = torch.export.Dim("samples", min=field(1, network.config.stem))
        with torch.inference_mode(), _quiet():
            torch.onnx.export(
                Graph(network).eval(),
                (torch.zeros(1, SAMPLE_RATE),),
                path,
                input_names=["wave"],
                output_names=["logits"],
                dynamic_shapes=({1: samples},),
                verbose=False,
            )
        yield path


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter narrates: on the log which of torch's sisters are not installed, and warnings of its own making."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
