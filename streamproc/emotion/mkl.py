"""MKL: linear layers whose weights MKL has laid out for its own kernel.

torch has no public names for these operations, so whoever uses them goes on without where they are gone. The numbers
are those of the plain layers but for the order of sums.
"""

import math

import torch
from torch import Tensor, nn

ROWS = 260
"""Tokens of a 5 s clip. A weight is cut for products of so many rows, then takes any number: 60 to 760 are all fast."""


class MklLinear(nn.Module):
    """A linear layer. On an Intel part it takes a tenth less than oneDNN's.

    For the thousands of rows that the stem has it takes a twentieth more.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self._weight: Tensor = torch.ops.mkl._mkl_reorder_linear_weight(weight.contiguous(), ROWS)  # noqa: SLF001  # see above
        # The operation wants the usual weight too, for calls that it would not do with the packed one. There are none,
        # and if there were, this would show; the real one would stay in memory for it.
        self._usual = weight.new_full((1, 1), math.nan).expand(weight.shape)
        self._bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        rows = x.numel() // x.shape[-1]
        out: Tensor = torch.ops.mkl._mkl_linear(x.contiguous(), self._weight, self._usual, self._bias, rows)  # noqa: SLF001  # see above
        return out
