"""oneDNN: the network's products in oneDNN's own layouts, where it is faster than the library that torch asks.

torch has no public names for these operations, so whoever uses them goes on without where they are gone. The numbers
are those of the plain layers but for the order of sums.
"""

import torch
from torch import Tensor, nn

from streamproc.emotion.attention import shares, together

ROWS = 260
"""Tokens of a 5 s clip: the size of product that a lone clip gives."""
FEW = 256
"""Under so many tokens a head's share is too small for a call of its own."""


class PackedLinear(nn.Module):
    """A linear layer whose weight oneDNN has laid out for its own kernel, once.

    On an AMD part this is about twice as fast as the library that torch asks otherwise, on an Intel part a tenth.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight, ROWS)  # noqa: SLF001  # see above
        self._bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return _product(x.contiguous(), self._weight, self._bias)


class PackedConvolution(nn.Module):
    """A 1-D convolution of stride 1 on tensors that lie as [B, L, channels].

    torch's own lays its weight out anew in each call, and its input.
    """

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        self._bias = convolution.bias
        self._how = ([0, int(convolution.padding[0])], [1, 1], [1, 1], convolution.groups)
        weight = convolution.weight[:, :, None].contiguous(memory_format=torch.channels_last)
        shape = [1, convolution.in_channels, 1, ROWS]
        self._weight: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *self._how, shape)  # noqa: SLF001  # see above

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, L] -> [B, outputs, L]; both lie as [B, L, channels]."""
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001  # see above
            x[:, :, None], self._weight, self._bias, *self._how, "none", [], ""
        )
        return out[:, :, 0]


def head_by_head(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """``together``, one head after the other.

    Query [B, heads, queries, D], key and value [B, heads, tokens, D], bias [B or 1, heads, queries, tokens] -> like
    the query.
    """
    batch, heads, queries, dim = query.shape
    if key.shape[2] < FEW:
        return together(query, key, value, bias)
    scaled, keys, values = query * dim**-0.5, key.contiguous(), value.transpose(2, 3).contiguous()
    out = query.new_empty(batch, queries, heads, dim)
    for clip in range(batch):
        for head in range(heads):
            scores = _product(scaled[clip, head].contiguous(), keys[clip, head], None)
            scores.add_(bias[clip if len(bias) > 1 else 0, head])
            out[clip, :, head] = _product(shares(scores), values[clip, head], None)
    return out.transpose(1, 2)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # noqa: SLF001  # see above
    return out
