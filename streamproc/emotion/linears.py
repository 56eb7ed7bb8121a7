"""Linears: kinds of linear layer that compute equal numbers. Which one is fast is the machine's to say (``choice``)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Kind = Callable[[nn.Linear], nn.Module]
"""Makes an equal of a linear layer: [..., in] -> [..., out].

Raises AttributeError, NotImplementedError or RuntimeError where this build of torch, or this CPU, does not have it.
"""

ROWS = 260
"""Tokens of a 5 s clip: the size of product that a lone clip gives."""


class PackedLinear(nn.Module):
    """A linear layer whose weight oneDNN has laid out for its own kernel, once.

    On AMD parts this is about twice as fast as the library that torch asks otherwise, on Intel parts it is equal.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight, ROWS)  # noqa: SLF001  # torch has no public name for it; `choose` goes on without it where it is gone
        self._bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), self._weight, self._bias, "none", [], "")  # noqa: SLF001  # same
        return out


def plain(linear: nn.Linear) -> nn.Linear:
    """The layer itself, with whatever library torch asks."""
    return linear


FP32: Mapping[str, Kind] = {"plain": plain, "packed": PackedLinear}
"""Kinds that differ by rounding alone. The first one is what is there anyway: it needs no copy of the weights."""
