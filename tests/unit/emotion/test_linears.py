"""Kinds of linear layer compute equal numbers; the fastest is chosen, of those that there are."""

import time
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from streamproc.emotion import choice
from streamproc.emotion.attention import shares, together
from streamproc.emotion.choice import choose_attention
from streamproc.emotion.half import BF16
from streamproc.emotion.linears import AROUND, FP32, Kind, plain
from streamproc.emotion.mkl import MklLinear
from streamproc.emotion.network import Attention, Network, NetworkConfig, frames
from streamproc.emotion.onednn import FEW, PackedConvolution, PackedLinear, head_by_head
from streamproc.emotion.runner import fit
from tests.kinds import attends_here, convolves_here, each, needs

mkl_is_here, packed_is_here = needs(MklLinear), needs(PackedLinear)
convolutions_are_here = pytest.mark.skipif(not convolves_here(), reason="no packed convolutions here")
HEAD_BY_HEAD = pytest.param(
    head_by_head, marks=pytest.mark.skipif(not attends_here(head_by_head), reason="no such attention here")
)
PACKED = each([PackedLinear, MklLinear])


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


def choose(tables: list[dict[str, Kind]], linear: nn.Linear) -> list[Kind]:
    return [chosen.way for chosen in choice.choose({str(place): table for place, table in enumerate(tables)}, linear)]


def untimed(kind: Kind) -> choice.Chosen[Kind]:
    return choice.Chosen(kind, choice.Timing("", "", {}))


class Doubled(PackedConvolution):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def gone(_: nn.Linear) -> nn.Module:
    raise AttributeError("no such operation")


@packed_is_here
@convolutions_are_here
@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("samples", [8_000, 100_000])
def test_a_network_of_packed_products_equals_the_plain_one(
    shapes: dict[str, NetworkConfig],
    random_network: Callable[..., Network],
    monkeypatch: pytest.MonkeyPatch,
    samples: int,
    kind: type[nn.Module],
) -> None:
    usual, packed = random_network(shapes["thin"]), random_network(shapes["thin"])
    monkeypatch.setattr(
        "streamproc.emotion.runner.choose",
        lambda tables, _: [untimed(kind if kind in table.values() else PackedLinear) for table in tables.values()],
    )
    fit(packed, FP32)
    stem = 2 * 4 + 3  # of the published stem: strides of 2 cut a kernel of 3 in two, all others stay whole
    found = Counter(type(module) for module in packed.modules())
    assert found[kind] + found[PackedLinear] * (kind is not PackedLinear) == 4 * 4 + stem + 1
    assert found[kind] >= 4 * 4
    assert all(isinstance(module, PackedConvolution) for module in packed.positions)
    waves, counts = torch.randn(2, samples), torch.tensor([frames(samples), 11])
    with torch.inference_mode():
        assert (packed.logits(waves, counts) - usual.logits(waves, counts)).abs().max() < 1e-5


@packed_is_here
@pytest.mark.parametrize("convolution", [gone, Doubled])
def test_a_torch_without_packed_convolutions_or_with_wrong_ones_keeps_its_own(
    shapes: dict[str, NetworkConfig],
    random_network: Callable[..., Network],
    monkeypatch: pytest.MonkeyPatch,
    convolution: Callable[..., nn.Module],
) -> None:
    network = random_network(shapes["thin"])
    monkeypatch.setattr("streamproc.emotion.runner.choose", lambda tables, _: [untimed(PackedLinear) for _ in tables])
    monkeypatch.setattr("streamproc.emotion.runner.PackedConvolution", convolution)
    fit(network, FP32)
    assert all(isinstance(module, nn.Conv1d) for module in network.positions)


@mkl_is_here
@pytest.mark.parametrize("threads", [(1, 2), (2, 1)])
def test_a_layer_packed_by_mkl_takes_any_number_of_rows_and_threads(threads: tuple[int, int]) -> None:
    """MKL's manual asks for the same layout in both calls, and for no more."""
    before, linear = torch.get_num_threads(), nn.Linear(512, 768, bias=False)
    try:
        with torch.inference_mode():
            torch.set_num_threads(threads[0])
            packed = MklLinear(linear)
            torch.set_num_threads(threads[1])
            for count in (*range(1, 33), 259, 260, 261, 1_000, 3_333):
                rows = torch.randn(1, count, 512)
                assert (packed(rows) - linear(rows)).abs().max() < 1e-5
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("attention", [together, HEAD_BY_HEAD])
@pytest.mark.parametrize("tokens", [60, FEW - 1, FEW, FEW + 3, 3_000])
@pytest.mark.parametrize("clips", [1, 2])
def test_attention_equals_torchs(attention: Attention, tokens: int, clips: int) -> None:
    query, key, value = torch.randn(clips, tokens, 3, 5, 8).permute(2, 0, 3, 1, 4).unbind(0)
    query = query[:, :, 5:50]
    for biases in {1, clips}:
        bias = torch.randn(biases, 5, 45, tokens)
        bias[-1, :, :, -7:] = -torch.inf
        with torch.inference_mode():
            expected = nn.functional.scaled_dot_product_attention(query, key, value, bias)
            assert (attention(query, key, value, bias) - expected).abs().max() < 1e-5


def test_no_share_is_a_denormal_number_and_what_is_none_stays_none() -> None:
    far = torch.linspace(-110, 0, 500)[None]
    exact, found = torch.softmax(far.double(), -1), shares(far)
    assert not ((found > 0) & (found < torch.finfo(torch.float32).tiny)).any()
    assert (found - exact).abs().max() < 1e-7
    assert shares(torch.tensor([[0.0, torch.nan]])).isnan().all()


def test_attention_is_the_one_that_is_faster_here_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        time.sleep(0.02)
        return together(query, key, value, bias)

    def missing(_query: Tensor, _key: Tensor, _value: Tensor, _bias: Tensor) -> Tensor:
        raise AttributeError("no such operation")

    def wrong(query: Tensor, _key: Tensor, _value: Tensor, _bias: Tensor) -> Tensor:
        return query.new_zeros(query.shape)

    monkeypatch.setattr(choice, "ATTENTIONS", {"slow": slow, "missing": missing, "wrong": wrong, "fast": together})
    assert choose_attention(8).way is together
    monkeypatch.setattr(choice, "ATTENTIONS", {"slow": slow, "missing": missing, "wrong": wrong})
    assert choose_attention(8).way is slow
    monkeypatch.setattr(choice, "ATTENTIONS", {"missing": missing, "wrong": wrong})
    assert choose_attention(8).way is nn.functional.scaled_dot_product_attention


@convolutions_are_here
@pytest.mark.parametrize("shape", [(1, 1), (1, 19), (3, 30)])
def test_a_packed_convolution_equals_the_plain_one(shape: tuple[int, int]) -> None:
    convolution = nn.Conv1d(32, 32, 19, padding=9, groups=4)
    rows = torch.randn(*shape, 32).transpose(1, 2)
    with torch.inference_mode():
        packed = PackedConvolution(convolution)
        assert (packed(rows) - convolution(rows)).abs().max() < 1e-5
        assert (packed(rows.contiguous()) - convolution(rows)).abs().max() < 1e-5


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("shape", [(1, 1, 8), (7, 16), (2, 5, 8), (3, 16), (1, 259, 8), (2, 400, 8)])
def test_a_packed_layer_takes_any_rows_and_views(kind: Kind, shape: tuple[int, ...]) -> None:
    linear = nn.Linear(shape[-1], 24)
    rows = torch.randn(*shape)
    with torch.inference_mode():
        packed = kind(linear)
        assert (packed(rows) - linear(rows)).abs().max() < 1e-5
        backwards = rows.flip(0).transpose(0, -2).contiguous().transpose(0, -2)
        assert (packed(backwards) - linear(backwards)).abs().max() < 1e-5


def test_the_fastest_kind_is_chosen() -> None:
    kinds = {"slow": late(3e-3), "fast": plain, "slower": late(5e-3)}
    assert choose([kinds], nn.Linear(8, 8)) == [plain]


def test_a_tie_goes_to_the_first_kind_which_costs_nothing() -> None:
    kinds = {"first": late(3e-3), "equal": late(3e-3)}
    assert choose([kinds], nn.Linear(8, 8)) == [kinds["first"]]


def test_what_was_chosen_and_from_what_can_be_read() -> None:
    kinds = {"slow": late(3e-3), "gone": gone, "fast": plain}
    (chosen,) = choice.choose({"of the blocks": kinds}, nn.Linear(8, 24))
    assert (chosen.timing.of, chosen.timing.chosen) == ("linear layers of the blocks (128 rows by [8, 24])", "fast")
    assert chosen.timing.best_ms["slow"] >= 3 > chosen.timing.best_ms["fast"]
    assert "gone" not in chosen.timing.best_ms
    assert str(chosen.timing).startswith("linear layers of the blocks (128 rows by [8, 24]): fast, of slow ")


def test_kinds_that_this_torch_lacks_are_left_out() -> None:
    assert choose([{"gone": gone, "plain": plain}], nn.Linear(8, 8)) == [plain]
    with pytest.raises(ValueError, match=r"none of the linear layers 0 .* gone"):
        choose([{"gone": gone}], nn.Linear(8, 8))


def permuted(linear: nn.Linear) -> nn.Module:
    other = nn.Linear(linear.in_features, linear.out_features)
    other.weight, other.bias = nn.Parameter(linear.weight.flip(1)), linear.bias
    return other


def not_a_number(linear: nn.Linear) -> nn.Module:
    other = nn.Linear(linear.in_features, linear.out_features)
    nn.init.constant_(other.weight, torch.nan)
    return other


@pytest.mark.parametrize("wrong", [permuted, not_a_number])
def test_a_kind_that_computes_something_else_is_left_out_wherever_it_stands(wrong: Kind) -> None:
    slow = late(3e-3)
    assert choose([{"wrong": wrong, "slow": slow}, {"slow": slow, "wrong": wrong}], nn.Linear(64, 64)) == [slow, slow]


def test_no_other_precision_passes_for_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    half = BF16["plain"]
    monkeypatch.setattr(choice, "FP32", {"half": half, "plain": plain})
    assert choose([{"half": half, "plain": plain}], nn.Linear(256, 256)) == [plain]


def test_one_timing_serves_two_tables_with_their_own_order() -> None:
    one, other = late(3e-3), late(3e-3)
    assert choose([{"one": one, "other": other}, {"other": other, "one": one}], nn.Linear(8, 8)) == [one, other]
    assert next(iter(AROUND.values())) is PackedLinear


def test_the_first_kind_of_fp32_is_the_layer_itself() -> None:
    linear = nn.Linear(8, 8)
    assert next(iter(FP32.values()))(linear) is linear


def test_what_is_around_the_blocks_is_fp32_whatever_kinds_they_have(
    shapes: dict[str, NetworkConfig], random_network: Callable[..., Network]
) -> None:
    network = random_network(shapes["tiny"])
    made: list[tuple[int, int]] = []

    def other(linear: nn.Linear) -> nn.Module:
        made.append((linear.in_features, linear.out_features))
        return linear

    fit(network, {"other": other})
    assert made[1:] == [(32, 96), (32, 32), (32, 128), (128, 32)] * 2  # the first one was timed
