"""Linears: kinds of linear layer that compute equal numbers. Which one is fast is the machine's to say (``choice``)."""

from collections.abc import Callable, Mapping

from torch import nn

from streamproc.emotion.mkl import MklLinear
from streamproc.emotion.onednn import PackedLinear

Kind = Callable[[nn.Linear], nn.Module]
"""Makes an equal of a linear layer: [..., in] -> [..., out].

Raises AttributeError, NotImplementedError or RuntimeError where this build of torch, or this CPU, does not have it.
"""


def plain(linear: nn.Linear) -> nn.Linear:
    """The layer itself, with whatever library torch asks."""
    return linear


FP32: Mapping[str, Kind] = {"plain": plain, "packed by oneDNN": PackedLinear, "packed by MKL": MklLinear}
"""Kinds that differ by rounding alone. The first one is what is there anyway: it needs no copy of the weights."""
SHARED: Mapping[str, Kind] = {"plain": plain}
"""Kinds that leave the weights where they are: mapped from a file, they are the same pages in each process."""
AROUND: Mapping[str, Kind] = {"packed by oneDNN": PackedLinear, "plain": plain}
"""What the layers around the blocks may be: fp32 in every precision, and products of thousands of rows. There a copy is
small, and with oneDNN come the convolutions between them, so a tie is oneDNN's."""
