"""Half: products of bf16 or fp16 numbers, summed up in fp32, their sums rounded to half once.

What stays fp32 is what would lose most: the waveform's norm and the stem's first layer, which has a waveform's range to
tell apart; all norms; softmax; the sum that blocks add to, though what each adds is rounded; the mean over frames; the
head.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamproc.emotion.linears import Kind
from streamproc.emotion.network import Network, StemLayer
from streamproc.emotion.onednn import ROWS
from streamproc.emotion.precision import Precision

HALVES: Mapping[Precision, torch.dtype] = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}


class HalfLinear(nn.Module):
    """A linear layer of half precision: what it gives is rounded to half, whatever type (``gives``) hands it on."""

    def __init__(self, linear: nn.Linear, half: torch.dtype, gives: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.to(half), requires_grad=False)
        self.bias = nn.Parameter(linear.bias.to(half), requires_grad=False)
        self._gives = gives

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return functional.linear(x.to(self.weight.dtype), self.weight, self.bias).to(self._gives)


class PackedBf16Linear(nn.Module):
    """The same in bf16, its weight laid out once by oneDNN."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        half = linear.weight.to(torch.bfloat16)
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(half, ROWS)  # noqa: SLF001  # torch has no public name for it; `choose` goes on without it where it is gone
        self._bias = linear.bias.to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001  # same
            x.to(torch.bfloat16).contiguous(), self._weight, self._bias, "none", [], ""
        )
        return out.float()


def plain_bf16(linear: nn.Linear) -> nn.Module:
    """With whatever library torch asks."""
    return HalfLinear(linear, torch.bfloat16)


BF16: Mapping[str, Kind] = {"plain": plain_bf16, "packed": PackedBf16Linear}
"""Kinds for a CPU, which differ by rounding alone."""


def cast(network: Network, precision: Precision) -> Network:
    """Make a network's products of this precision, for an accelerator; in place. fp32 leaves it as it is.

    Raises KeyError for int8.
    """
    if precision is Precision.FP32:
        return network
    half = HALVES[precision]
    for layer in list(network.stem)[1:]:
        if isinstance(layer, StemLayer):
            layer.weight = nn.Parameter(layer.weight.to(half), requires_grad=False)
    _replace(network, "feature_proj", half, torch.float32)
    network.positions.to(half)
    network.factors = half
    for block in network.blocks:
        # Query, key, value and what GELU takes are of half precision at once: nothing is added to them.
        for name, gives in (("qkv", half), ("proj", torch.float32), ("fc1", half), ("fc2", torch.float32)):
            _replace(block, name, half, gives)
    return network


def _replace(module: nn.Module, name: str, half: torch.dtype, gives: torch.dtype) -> None:
    setattr(module, name, HalfLinear(getattr(module, name), half, gives))
