"""Int8: a CPU's linear layers on whole numbers of 8 bits, exactly summed.

Weights have one symmetric scale for each output, activations one for each token, found as they come: a clip's numbers
do not depend on what shares its batch. One scale for a whole call, as in torch's dynamic layers, would make them.
"""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamproc.emotion.linears import Kind

MOST = 127
"""The largest factor; -128 is left out, so that scales are symmetric."""
LEAST = 1e-30
"""Under any scale that matters: a row of zeros has to stay one."""


class _Quantized(nn.Module):
    """A linear layer of rounded numbers; how they are multiplied is the kind."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = quantize(linear.weight)
        self._weight, self._scale = weight.t(), scale.flatten()
        self._bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        rows, scale = quantize(x.flatten(0, -2))
        # A row that is not finite has a scale that is not, and so has its product.
        out = torch.addcmul(self._bias, self._product(rows) * scale, self._scale)
        return out.view(*x.shape[:-1], -1)

    def _product(self, rows: Tensor) -> Tensor:
        raise NotImplementedError


class Int8Linear(_Quantized):
    """By the CPU's own products of 8 bits."""

    def __init__(self, linear: nn.Linear) -> None:
        if not _exact():
            raise RuntimeError("this CPU's products of 8 bits overflow between the factors and the sum")
        super().__init__(linear)

    def _product(self, rows: Tensor) -> Tensor:
        return _multiply(rows, self._weight)


class EmulatedLinear(_Quantized):
    """By products of fp32, for a CPU without better: as slow as fp32, and the numbers of the group."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        self._weight = self._weight.t().float()

    def _product(self, rows: Tensor) -> Tensor:
        return functional.linear(rows.float(), self._weight)


def quantize(rows: Tensor) -> tuple[Tensor, Tensor]:
    """[n, k] -> whole numbers of the same shape, int8, and [n, 1] scales: their product is near the rows."""
    scale = rows.abs().amax(-1, keepdim=True).clamp_min(LEAST) / MOST
    return (rows / scale).round_().to(torch.int8), scale


def _multiply(rows: Tensor, weight: Tensor) -> Tensor:
    """[n, k] by [k, m], int8 -> [n, m], int32."""
    return torch._int_mm(rows, weight)  # noqa: SLF001  # torch has no public name for it; `choose` goes on without it where it is gone


@cache
def _exact() -> bool:
    """Whether the largest factors are summed without loss: CPUs before VNNI add pairs of products in 16 bits."""
    most = torch.full((32, 64), MOST, dtype=torch.int8)
    found = _multiply(most, most.t())
    return bool((found == 64 * MOST * MOST).all()) and bool((_multiply(-most, most.t()) == -found).all())


INT8: Mapping[str, Kind] = {"emulated": EmulatedLinear, "int8": Int8Linear}
"""Equal but for the rounding of fp32. The first one is the one that every CPU has."""
