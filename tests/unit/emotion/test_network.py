"""The network against FunASR, one file at a time; and each padding rule, missing, is noticed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from streamproc.emotion import checkpoint, network
from streamproc.emotion.network import Bias, Network, NetworkConfig, StemLayer, collate, field, frames, slopes

Wave = NDArray[np.float32]
Encoded = list[tuple[Wave, Wave]]
PARITY = 1e-4
ALONE = 1e-5


@dataclass(frozen=True)
class Case:
    """A checkpoint, waveforms and what FunASR says of each alone."""

    directory: Path
    network: Network
    waves: list[Wave]
    expected: Encoded
    found: Encoded
    """Of all waves as one padded batch of ours."""


@pytest.fixture(scope="module", params=["thin", "small"])
def case(request: pytest.FixtureRequest) -> Case:
    lengths = {"thin": (400, 401, 719, 720, 5003, 16_000, 47_999, 96_000), "small": (40_000, 400, 17_001)}
    return _case(request, request.param, lengths[request.param])


@pytest.fixture(scope="module")
def thin(request: pytest.FixtureRequest) -> Case:
    return _case(request, "thin", (32_000, 400, 9_000))


def _case(request: pytest.FixtureRequest, name: str, lengths: Sequence[int]) -> Case:
    clip = request.getfixturevalue("clip")
    waves = [clip(length, seed) for seed, length in enumerate(lengths)]
    waves += [np.zeros(8_000, np.float32), np.full(12_345, 0.3, np.float32)]
    directory = request.getfixturevalue("directories")(name)
    loaded = checkpoint.load(directory)
    expected = request.getfixturevalue("judged")(directory, waves)
    return Case(directory, loaded.network, waves, expected, encode(loaded.network, waves))


@torch.inference_mode()
def encode(model: Network, waves: Sequence[Wave], collate: Callable[..., Any] = collate) -> Encoded:
    """Frames and scores of one padded batch."""
    batch, counts = collate([torch.from_numpy(wave) for wave in waves], model.config.stem)
    encoded, logits = model.encode(batch, counts), model.logits(batch, counts)
    scores = logits.softmax(-1)
    return [(encoded[i, :count].numpy(), scores[i].numpy()) for i, count in enumerate(counts.tolist())]


def worst(found: Encoded, expected: Encoded) -> float:
    assert [f.shape for f, _ in found] == [f.shape for f, _ in expected]
    pairs = zip(found, expected, strict=True)
    return max(float(np.abs(a - b).max()) for pair in pairs for a, b in zip(*pair, strict=True))


def test_a_mixed_batch_equals_funasr_one_file_at_a_time(case: Case) -> None:
    assert worst(case.found, case.expected) < PARITY


def test_a_clip_alone_equals_itself_in_a_batch(case: Case) -> None:
    alone = [encode(case.network, [wave])[0] for wave in case.waves]
    assert worst(alone, case.found) < ALONE


def test_the_reference_scores_are_not_saturated(case: Case) -> None:
    """Otherwise the bound on scores would hide any error."""
    highest = [float(scores.max()) for _, scores in case.expected]
    assert np.median(highest) < 0.9
    assert len({int(scores.argmax()) for _, scores in case.expected}) > 1


def test_funasr_itself_breaks_the_bound_when_it_pads(thin: Case, reference: Callable[[Path], Any]) -> None:
    """The negative control: the bound tells a right batch from a wrong one."""
    model = reference(thin.directory).model
    batch, counts = collate([torch.from_numpy(wave) for wave in thin.waves], thin.network.config.stem)
    ends = torch.tensor([len(wave) for wave in thin.waves])
    with torch.inference_mode():
        padding = torch.arange(batch.shape[1]) >= ends[:, None]
        x = model.extract_features(batch, padding_mask=padding)["x"]
    found = [
        (x[i, :n].numpy(), torch.softmax(model.proj(x[i, :n].mean(0)), -1).detach().numpy())
        for i, n in enumerate(counts.tolist())
    ]
    assert worst(found, thin.expected) > 100 * PARITY


def test_rule_1_normalising_after_padding_is_noticed(thin: Case) -> None:
    def late(waves: Sequence[Tensor], stem: Any) -> tuple[Tensor, Tensor]:
        padded = torch.nn.utils.rnn.pad_sequence(list(waves), batch_first=True)
        return functional.layer_norm(padded, padded.shape[1:]), collate(waves, stem)[1]

    assert worst(encode(thin.network, thin.waves, late), thin.expected) > 10 * PARITY


def test_rule_2_a_padded_stem_is_noticed(thin: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    right = StemLayer.forward
    monkeypatch.setattr(StemLayer, "forward", lambda self, x: right(self, functional.pad(x, (0, 0, 1, 0))[:, :-1]))
    assert worst(encode(thin.network, thin.waves), thin.expected) > 10 * PARITY


def test_rule_3_zeroing_only_before_the_first_positional_convolution_is_noticed(
    thin: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Network._positions
    monkeypatch.setattr(Network, "_positions", lambda self, x, keep: right(self, x, torch.ones_like(keep)))
    assert worst(encode(thin.network, thin.waves), thin.expected) > 10 * PARITY


def test_rule_4_seeing_padded_keys_is_noticed(thin: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    class Open(Bias):
        def __init__(
            self, slopes: Tensor, extra: int, frames: Tensor, longest: int, dtype: torch.dtype = torch.float32
        ) -> None:
            super().__init__(slopes, extra, torch.full_like(frames, longest), longest, dtype)

    monkeypatch.setattr(network, "Bias", Open)
    assert worst(encode(thin.network, thin.waves), thin.expected) > 10 * PARITY


def test_rule_5_a_mean_over_padding_is_noticed(thin: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def padded_mean(self: Network, waves: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        embeddings = self.encode(waves, frames).mean(1)
        return embeddings, self.head(embeddings)

    monkeypatch.setattr(Network, "forward", padded_mean)
    assert worst(encode(thin.network, thin.waves), thin.expected) > 10 * PARITY


def test_long_audio_in_spans_equals_long_audio_whole(thin: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thin.network, "stem_frames", 7)
    monkeypatch.setattr(network, "BIAS_ENTRIES", 1000)
    assert worst(encode(thin.network, thin.waves), thin.expected) < PARITY


def test_every_parameter_is_trained_with_no_stale_copy(
    shapes: dict[str, NetworkConfig],
    random_network: Callable[[NetworkConfig], Network],
    clip: Callable[[int, int], Wave],
) -> None:
    model = random_network(shapes["tiny"]).requires_grad_(requires_grad=True)
    batch, counts = collate([torch.from_numpy(clip(n, n)) for n in (4000, 900)], model.config.stem)
    before = model.logits(batch, counts)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(before[:, 0].sum(), parameters)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    with torch.no_grad():
        # One channel alone: the norm behind the layer takes back what all of them have in common.
        model.stem[1].get_parameter("weight")[0].mul_(2)
    assert not torch.allclose(model.logits(batch, counts), before)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(NetworkConfig(1024, 16, 4, 8, 9), 162_140_185), (NetworkConfig(768, 12, 4, 8, 9), 93_178_133)],
)
def test_the_published_shapes_have_the_published_number_of_parameters(config: NetworkConfig, parameters: int) -> None:
    """plus_large and plus_base."""
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in Network(config).parameters()) == parameters


@pytest.mark.parametrize(("samples", "expected"), [(399, 0), (400, 1), (719, 1), (720, 2), (16_000, 49), (80_000, 249)])
def test_frames_are_those_of_the_published_stem(samples: int, expected: int) -> None:
    assert frames(samples) == expected


@pytest.mark.parametrize("count", [1, 2, 49, 1500])
def test_field_is_the_least_that_gives_the_frames(count: int) -> None:
    assert frames(field(count)) == count
    assert frames(field(count) - 1) == count - 1


def test_slopes_are_those_of_the_paper() -> None:
    assert slopes(8) == [2.0**-k for k in range(1, 9)]
    assert slopes(12) == [2.0**-k for k in range(1, 9)] + [2.0 ** (-0.5 - k) for k in range(4)]


@pytest.mark.parametrize(
    "change", [{"heads": 0}, {"heads": 3}, {"pos_groups": 7}, {"pos_width": 20}, {"extra_tokens": -1}, {"classes": 0}]
)
def test_a_shape_that_is_no_network_is_refused(shapes: dict[str, NetworkConfig], change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(shapes["small"], **change)  # type: ignore[arg-type]  # every changed field is an int
