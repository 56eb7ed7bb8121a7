"""Attention on a CPU: a few heads at a time, whose scores are small enough to stay in a cache between two products."""

import torch
from torch import Tensor

ENTRIES = 1 << 19
"""Scores of so many (query, key) pairs are computed at once, 2 MB: 7 heads of a 5 s clip."""
NOTHING = 1e-30
"""A smaller share counts as none. No sum in fp32 knows the difference, but ALiBi makes many of under 1e-38, which CPUs
take for denormal numbers: the product with them takes twice as long for a clip of 15 s."""


def together(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """``scaled_dot_product_attention`` of several heads in one product.

    Query [B, heads, queries, D], key and value [B, heads, tokens, D], bias [B or 1, heads, queries, tokens] -> like
    the query.
    """
    batch, heads, queries, dim = query.shape
    step = max(1, ENTRIES // (queries * key.shape[2]))
    out = query.new_empty(query.shape)
    for clip in range(batch):
        for first in range(0, heads, step):
            some = slice(first, first + step)
            keys, added = key[clip, some].transpose(1, 2), bias[clip if len(bias) > 1 else 0, some]
            scores = torch.baddbmm(added, query[clip, some], keys, alpha=dim**-0.5)
            torch.bmm(shares(scores), value[clip, some], out=out[clip, some])
    return out


def shares(scores: Tensor) -> Tensor:
    """Softmax over the last dimension, in which what is next to nothing is nothing."""
    return torch.threshold_(torch.softmax(scores, -1), NOTHING, 0)
