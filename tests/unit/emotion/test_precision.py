"""Precisions: near fp32, the same in any company, refused where they cannot be, told apart by the fingerprint."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from streamproc.emotion import checkpoint, load_model
from streamproc.emotion.half import BF16, HALVES, HalfLinear, cast
from streamproc.emotion.int8 import INT8, MOST, EmulatedLinear, Int8Linear, quantize
from streamproc.emotion.linears import Kind
from streamproc.emotion.model import softmax
from streamproc.emotion.network import Block, Network, NetworkConfig, collate
from streamproc.emotion.pages import Pages
from streamproc.emotion.precision import FASTEST, MAPPED, OFFERED, Precision, check, check_weights, stated
from streamproc.emotion.runner import CPU_KINDS, Runner
from streamproc.errors import UsageError
from streamproc.records.identity import ModelIdentity, fingerprint
from streamproc.settings import ModelSettings
from tests.kinds import each, here, needs

Wave = NDArray[np.float32]
NEAR: dict[Precision, float] = {Precision.FP32: 1e-4, Precision.BF16: 5e-2, Precision.FP16: 1e-2, Precision.INT8: 0.15}
"""Largest difference of an embedding's number from fp32's, where random weights hide nothing."""
IN_COMPANY: dict[Precision, float] = {Precision.FP32: 1e-5, Precision.BF16: 2e-2, Precision.INT8: 5e-2}
"""The same from the clip alone. A last bit of fp32, which a product's size moves, may round to the next number."""

SCORES: dict[Precision, float] = {Precision.BF16: 5e-3, Precision.INT8: 5e-3}
"""Of any score, between two kinds of one precision: what is recommended lies no further from fp32 (``model info``)."""


def linear(inputs: int, outputs: int) -> nn.Linear:
    generator = torch.Generator().manual_seed(3)
    layer = nn.Linear(inputs, outputs)
    layer.requires_grad_(requires_grad=False)
    layer.weight.normal_(0, inputs**-0.5, generator=generator)
    layer.bias.normal_(0, 1, generator=generator)
    return layer


@pytest.mark.parametrize("device", OFFERED)
def test_a_precision_is_taken_or_refused_with_what_to_do(device: str) -> None:
    for precision in Precision:
        if precision in OFFERED[device]:
            assert check(precision.value, device) is precision
        else:
            with pytest.raises(
                UsageError, match=rf"{precision} runs on .* only, .* set model\.precision to one of fp32"
            ):
                check(precision.value, device)


def test_every_precision_can_be_set_and_runs_somewhere() -> None:
    for precision in Precision:
        assert ModelSettings(precision=precision.value).precision == precision
        assert any(precision in offered for offered in OFFERED.values())
    assert set(CPU_KINDS) == set(OFFERED["cpu"])
    assert {Precision.FP32, *HALVES} == set(OFFERED["cuda"])


def test_results_of_two_precisions_have_two_fingerprints(directories: Callable[[str], Path]) -> None:
    found = {precision: load_model(directories("tiny"), "cpu", precision).identity for precision in OFFERED["cpu"]}
    assert {identity.precision for identity in found.values()} == {"fp32", "bf16-cpu", "int8-cpu"}
    assert len({fingerprint(identity, "mix") for identity in found.values()}) == len(found)
    assert len({replace(identity, precision="") for identity in found.values()}) == 1
    assert isinstance(found[Precision.FP32], ModelIdentity)


def test_weights_can_stay_in_their_file_where_they_are_used_as_they_are() -> None:
    check_weights(MAPPED, Precision.FP32, "cpu")
    for weights in (FASTEST, MAPPED):
        assert ModelSettings(weights=weights).weights == weights
    for precision, device in ((Precision.BF16, "cpu"), (Precision.INT8, "cpu"), (Precision.FP32, "cuda")):
        check_weights(FASTEST, precision, device)
        with pytest.raises(UsageError, match=rf"{precision} on {device} needs weights of its own: set model\.weights"):
            check_weights(MAPPED, precision, device)
    with pytest.raises(UsageError, match=r"weights 'here' are not known: set model\.weights to fastest or mapped"):
        check_weights("here", Precision.FP32, "cpu")


def test_mapped_weights_give_the_numbers_of_laid_out_ones_and_stay_pages_of_the_file(
    directories: Callable[[str], Path], clip: Callable[[int, int], Wave], tmp_path: Path
) -> None:
    waves = [clip(length, length) for length in (9_000, 400, 20_000)]
    directory = Path(shutil.copytree(directories("small"), tmp_path / "of its own"))
    here = checkpoint.load(directory).network
    engine = Runner(here, share=True)
    assert engine.run(waves).logits.shape == (3, 9)
    ranges = Pages.here().ranges
    for block in here.blocks:
        assert isinstance(block, Block)
        for layer in (block.qkv, block.proj, block.fc1, block.fc2):
            assert any(start <= layer.weight.data_ptr() < end for start, end in ranges), "a copy of its own"
    fastest, mapped = (load_model(directory, weights=weights) for weights in (FASTEST, MAPPED))
    assert fastest.identity == mapped.identity
    for one, other in zip(fastest.analyze(waves), mapped.analyze(waves), strict=True):
        assert np.abs(one.embedding - other.embedding).max() <= 1e-4
        assert max(abs(one.scores[label] - other.scores[label]) for label in one.scores) <= 1e-5


def test_what_rounds_other_layers_on_each_kind_of_device_is_of_that_kind() -> None:
    assert stated(Precision.FP32, "cpu") == stated(Precision.FP32, "cuda")
    assert stated(Precision.BF16, "cpu") != stated(Precision.BF16, "cuda")


@pytest.mark.parametrize("precision", list(OFFERED["cpu"]))
def test_on_a_cpu_each_is_near_fp32_and_the_same_in_company(
    precision: Precision,
    shapes: dict[str, NetworkConfig],
    random_network: Callable[[NetworkConfig], Network],
    clip: Callable[[int, int], Wave],
) -> None:
    waves = [clip(length, length) for length in (9_000, 400, 20_000, 5_000)]
    exact = Runner(random_network(shapes["thin"]))
    for kind in here(CPU_KINDS[precision]).values():
        engine = Runner(random_network(shapes["thin"]), {"the one": kind})
        together = engine.run(waves, frames=True)
        for row, wave in enumerate(waves):
            alone, judge = engine.run([wave], frames=True), exact.run([wave])
            assert np.abs(alone.embeddings - judge.embeddings).max() < NEAR[precision]
            assert np.abs(together.embeddings[row] - alone.embeddings).max() < IN_COMPANY[precision]
            assert alone.embeddings.dtype == alone.logits.dtype == alone.frames[0].dtype == np.float32


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.INT8])
def test_the_kinds_that_a_group_may_choose_from_agree_as_a_clip_in_company_does(
    precision: Precision,
    shapes: dict[str, NetworkConfig],
    random_network: Callable[[NetworkConfig], Network],
    clip: Callable[[int, int], Wave],
) -> None:
    """They have one fingerprint, so each other's results stand for their own: this holds the kinds, not two CPUs."""
    kinds = here(CPU_KINDS[precision])
    if len(kinds) == 1:
        pytest.skip("only one kind here")
    waves = [clip(length, length) for length in (9_000, 400, 20_000, 5_000)]
    engines = [Runner(random_network(shapes["thin"]), {name: kind}) for name, kind in kinds.items()]
    for wave in waves:
        one, other = (engine.run([wave], frames=True) for engine in engines)
        assert np.abs(one.embeddings - other.embeddings).max() < IN_COMPANY[precision]
        assert np.abs(softmax(one.logits) - softmax(other.logits)).max() < SCORES[precision]


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_a_network_cast_for_an_accelerator_is_near_fp32_where_its_sums_are(
    precision: Precision,
    shapes: dict[str, NetworkConfig],
    random_network: Callable[[NetworkConfig], Network],
    clip: Callable[[int, int], Wave],
) -> None:
    """On the CPU, which computes it as well."""
    exact, network = random_network(shapes["thin"]), cast(random_network(shapes["thin"]), precision)
    halves = {name for name, value in network.state_dict().items() if value.dtype is HALVES[precision]}
    assert {name for name in halves if "norm" in name} == set()
    assert not halves & {"head.weight", "stem.0.weight", "extra_tokens", "alibi_scale"}
    assert {"stem.1.weight", "feature_proj.weight", "positions.0.weight", "blocks.3.fc2.weight"} <= halves
    batch = collate([torch.from_numpy(clip(length, length)) for length in (9_000, 20_000)])
    with torch.inference_mode():
        found, expected = network(*batch), exact(*batch)
    assert found[0].dtype is found[1].dtype is torch.float32
    difference = (found[0] - expected[0]).abs().max()
    assert 0 < difference < NEAR[precision]


def test_fp32_is_cast_to_itself(
    shapes: dict[str, NetworkConfig], random_network: Callable[[NetworkConfig], Network]
) -> None:
    network = cast(random_network(shapes["tiny"]), Precision.FP32)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


ROWS = arrays.arrays(np.float32, (5, 16), elements=st.floats(-1e6, 1e6, width=32))


@given(rows=ROWS)
def test_numbers_are_rounded_by_at_most_half_a_step_of_their_own_row(rows: Wave) -> None:
    whole, scale = quantize(torch.from_numpy(rows))
    assert int(whole.abs().max()) <= MOST
    error = (whole * scale - torch.from_numpy(rows)).abs()
    assert bool((error <= scale * 0.5001).all())
    assert scale.shape == (5, 1)


@needs(Int8Linear)
@given(rows=ROWS)
def test_both_kinds_of_int8_give_the_same_numbers(rows: Wave) -> None:
    """So a CPU without products of 8 bits can be in the group."""
    layer, x = linear(16, 8), torch.from_numpy(rows)
    found, expected = Int8Linear(layer)(x), EmulatedLinear(layer)(x)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", each([Int8Linear]))
@given(rows=ROWS, mates=ROWS)
def test_a_row_of_int8_does_not_depend_on_its_neighbours(kind: Kind, rows: Wave, mates: Wave) -> None:
    layer = kind(linear(16, 8))
    alone, together = layer(torch.from_numpy(rows)), layer(torch.from_numpy(np.concatenate([mates, rows])))
    assert torch.equal(together[5:], alone)


@pytest.mark.parametrize("kind", each([*INT8.values(), *BF16.values()]))
def test_what_is_not_finite_stays_so_in_its_row_alone(kind: Kind) -> None:
    x = torch.ones(4, 16)
    x[1, 3], x[2, 3] = torch.inf, torch.nan
    found = kind(linear(16, 8))(x)
    assert [bool(row.isfinite().any()) for row in found] == [True, False, False, True]


@pytest.mark.parametrize("shape", [(1, 16), (1, 1, 16), (2, 5, 16), (300, 16)])
@pytest.mark.parametrize("kind", each([*INT8.values(), *BF16.values()]))
def test_each_kind_takes_any_rows_and_is_near_the_layer(kind: Kind, shape: tuple[int, ...]) -> None:
    layer = linear(16, 8)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = kind(layer)(x)
    assert found.shape == (*shape[:-1], 8)
    assert found.dtype is torch.float32
    assert 0 < (found - layer(x)).abs().max() < 0.1


def test_a_cpu_whose_products_overflow_has_no_int8_but_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        # As vpmaddubsw has it: one factor without a sign, so it is moved up, and sums of two in 16 bits.
        products = (rows[:, :, None].int() + 128) * weight[None].int()
        pairs = (products[:, ::2] + products[:, 1::2]).clamp(-(2**15), 2**15 - 1)
        return pairs.sum(1) - 128 * weight.int().sum(0)

    from streamproc.emotion import int8

    monkeypatch.setattr(int8, "_multiply", saturating)
    monkeypatch.setattr(int8, "_exact", int8._exact.__wrapped__)
    with pytest.raises(RuntimeError, match="overflow"):
        Int8Linear(linear(16, 8))
    assert EmulatedLinear(linear(16, 8))(torch.ones(1, 16)).shape == (1, 8)


def test_a_half_layer_gives_what_it_is_told_to() -> None:
    layer = HalfLinear(linear(16, 8), torch.float16, torch.float16)
    assert layer(torch.ones(1, 16)).dtype is torch.float16
    assert functional.gelu(layer(torch.ones(1, 16))).dtype is torch.float16
