"""Kinds of linear layer compute equal numbers; the fastest is chosen, of those that there are."""

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from streamproc.emotion.choice import choose
from streamproc.emotion.linears import FP32, Kind, PackedLinear, plain
from streamproc.emotion.network import Network, NetworkConfig
from streamproc.emotion.runner import fit_linears

packed_is_here = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")  # type: ignore[no-untyped-call]  # torch left it without types


def late(seconds: float) -> Kind:
    class Late(nn.Module):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__()
            self._linear = linear

        def forward(self, x: Tensor) -> Tensor:
            time.sleep(seconds)
            out: Tensor = self._linear(x)
            return out

    return Late


def gone(_: nn.Linear) -> nn.Module:
    raise AttributeError("no such operation")


@packed_is_here
def test_a_network_of_packed_layers_equals_the_plain_one(
    shapes: dict[str, NetworkConfig], random_network: Callable[..., Network]
) -> None:
    usual, packed = random_network(shapes["thin"]), random_network(shapes["thin"])
    fit_linears(packed, {"packed": PackedLinear})
    assert sum(isinstance(module, PackedLinear) for module in packed.modules()) == 16
    waves, counts = torch.randn(2, 8000), torch.tensor([24, 11])
    with torch.inference_mode():
        assert (packed.logits(waves, counts) - usual.logits(waves, counts)).abs().max() < 1e-5


@packed_is_here
@pytest.mark.parametrize("shape", [(1, 1, 8), (7, 16), (2, 5, 8), (3, 16)])
def test_a_packed_layer_takes_any_rows_and_views(shape: tuple[int, ...]) -> None:
    linear = nn.Linear(shape[-1], 24)
    rows = torch.randn(*shape)
    with torch.inference_mode():
        packed = PackedLinear(linear)
        assert (packed(rows) - linear(rows)).abs().max() < 1e-5
        backwards = rows.flip(0).transpose(0, -2).contiguous().transpose(0, -2)
        assert (packed(backwards) - linear(backwards)).abs().max() < 1e-5


def test_the_fastest_kind_is_chosen() -> None:
    kinds = {"slow": late(3e-3), "fast": plain, "slower": late(5e-3)}
    assert choose(kinds, nn.Linear(8, 8)) is plain


def test_a_tie_goes_to_the_first_kind_which_costs_nothing() -> None:
    kinds = {"first": late(3e-3), "equal": late(3e-3)}
    assert choose(kinds, nn.Linear(8, 8)) is kinds["first"]


def test_kinds_that_this_torch_lacks_are_left_out() -> None:
    assert choose({"gone": gone, "plain": plain}, nn.Linear(8, 8)) is plain
    with pytest.raises(ValueError, match="none of the linear layers gone"):
        choose({"gone": gone}, nn.Linear(8, 8))


def test_the_first_kind_of_fp32_is_the_layer_itself() -> None:
    linear = nn.Linear(8, 8)
    assert next(iter(FP32.values()))(linear) is linear
