"""EmotionModel: values for good waveforms, typed errors for others; torch stays out of the main process."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamproc.emotion import load_model
from streamproc.emotion.engine import Passed
from streamproc.emotion.errors import CheckpointError, WaveformError
from streamproc.emotion.model import EmotionModel
from streamproc.emotion.network import Network, NetworkConfig, frames
from streamproc.emotion.runner import Runner
from streamproc.errors import UsageError
from streamproc.records.compute import ItemError, Scored
from streamproc.records.embedding import unpack
from streamproc.records.identity import ModelIdentity
from tests.unit.emotion.labels import FIRST_REVISION

Wave = NDArray[np.float32]


@pytest.fixture(scope="module")
def model(directories: Callable[[str], Path]) -> EmotionModel:
    return load_model(directories("tiny"), device="cpu")


@pytest.fixture(scope="module")
def waves(clip: Callable[[int, int], Wave]) -> list[Wave]:
    return [clip(length, length) for length in (9_000, 400, 20_000, 400)]


def test_each_waveform_has_its_value_in_order(model: EmotionModel, waves: list[Wave]) -> None:
    emotions = model.analyze(waves)
    assert len(emotions) == len(waves)
    for emotion, wave in zip(emotions, waves, strict=True):
        alone = model.analyze([wave])[0]
        assert tuple(emotion.scores) == model.labels
        assert emotion.scores == pytest.approx(alone.scores, abs=1e-5)
        assert sum(emotion.scores.values()) == pytest.approx(1, abs=1e-5)
        assert emotion.confidence == max(emotion.scores.values()) == emotion.scores[emotion.label]
        assert emotion.embedding.shape == (32,)


def test_a_view_is_as_good_as_an_array(model: EmotionModel, waves: list[Wave]) -> None:
    backwards = waves[0][::-1]
    locked = np.array(backwards)
    locked.flags.writeable = False
    stereo = np.stack([backwards, backwards], axis=1)
    assert model.run([backwards, locked, stereo[:, 1]]) == model.run([np.array(backwards)]) * 3


def test_nothing_is_no_waveform(model: EmotionModel) -> None:
    assert model.analyze([]) == []
    assert model.run([]) == []


def test_run_gives_scores_and_embedding_of_analyze(model: EmotionModel, waves: list[Wave]) -> None:
    expected = [Scored(tuple(one.scores.values()), one.embedding.tobytes()) for one in model.analyze(waves)]
    assert model.run(waves) == expected
    assert model.identity.embed_dim == len(model.analyze(waves)[0].embedding)


def test_scores_and_labels_are_funasrs_where_labels_are_unused(
    directories: Callable[[str], Path], judged: Callable[..., Any], waves: list[Wave], tmp_path: Path
) -> None:
    """The first published revision had five labels and four ``unuse_*`` lines."""
    for path in directories("thin").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "tokens.txt").write_text("\n".join(FIRST_REVISION))
    expected = judged(tmp_path, waves)
    found = load_model(tmp_path, device="cpu").run(waves)
    assert len(expected[0][1]) == 5
    for value, (_, scores) in zip(found, expected, strict=True):
        assert isinstance(value, Scored)
        assert value.scores == pytest.approx(scores, abs=1e-4)


BAD = {
    "not float32": np.zeros(8000),
    "integers": np.zeros(8000, np.int16),
    "stereo": np.zeros((2, 8000), np.float32),
    "a list": [0.0] * 8000,
    "too short": np.zeros(399, np.float32),
    "empty": np.zeros(0, np.float32),
    "NaN": np.full(8000, np.nan, np.float32),
    "infinite": np.full(8000, np.inf, np.float32),
}


@pytest.mark.parametrize("wave", BAD.values(), ids=BAD.keys())
def test_a_bad_waveform_is_a_typed_error_that_names_its_place(
    model: EmotionModel, waves: list[Wave], wave: Any
) -> None:
    with pytest.raises(WaveformError, match="waveform 1: ") as caught:
        model.analyze([waves[0], wave])
    assert caught.value.index == 1


@pytest.mark.parametrize("wave", BAD.values(), ids=BAD.keys())
def test_a_bad_item_harms_no_neighbour(model: EmotionModel, waves: list[Wave], wave: Any) -> None:
    alone = model.run([waves[0]])
    found = model.run([waves[0], wave, waves[0]])
    assert [found[0], found[2]] == alone * 2
    assert isinstance(found[1], ItemError)


def test_scores_that_are_not_finite_are_an_error_of_that_item(model: EmotionModel, waves: list[Wave]) -> None:
    """Samples at the edge of float32 are finite; their sum is not."""
    loud = np.full(8000, 3e38, np.float32)
    found = model.run([loud, waves[0]])
    assert found == [ItemError("the network gave no finite scores"), *model.run([waves[0]])]
    with pytest.raises(WaveformError, match="no finite scores"):
        model.analyze([loud])


def test_frames_are_given_to_whoever_asks(model: EmotionModel, waves: list[Wave]) -> None:
    assert [emotion.frames for emotion in model.analyze(waves)] == [None] * len(waves)
    for emotion, wave in zip(model.analyze(waves, frames=True), waves, strict=True):
        assert emotion.frames is not None
        assert emotion.frames.shape == (frames(len(wave)), 32)
        assert emotion.frames.dtype == np.float32
        assert np.abs(emotion.frames.mean(0) - emotion.embedding).max() < 1e-5


class Ragged(Runner):
    """The CPU runner made to pad, as it does on an accelerator."""

    def __init__(self, network: Network, most_samples: int = 45_000) -> None:
        super().__init__(network)
        self.most_samples = most_samples
        self.passes: list[list[int]] = []

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        self.passes.append([len(wave) for wave in waves])
        return super().run(waves, frames=frames)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_clip_that_overflows_in_a_padded_pass_harms_no_neighbour(
    model: EmotionModel,
    waves: list[Wave],
    shapes: dict[str, NetworkConfig],
    random_network: Callable[..., Network],
    place: int,
) -> None:
    """Longest, shortest or in between: its infinities stay in its own rows."""
    engine = Ragged(random_network(shapes["tiny"]), most_samples=100_000)
    ragged = EmotionModel(model.identity, range(9), engine)
    shorter, longer = waves[2][:19_000], waves[2]
    loud = np.full((20_500, 18_500, 19_500)[place], 3e38, np.float32)
    found = ragged.run([shorter, loud, longer])
    assert list(map(len, engine.passes)) == [3, 1, 1, 1]  # it is heard again alone, and once more after noise
    assert found[1] == ItemError("the network gave no finite scores")
    for ours, alone in zip(found[::2], model.run([shorter, longer]), strict=True):
        assert isinstance(ours, Scored)
        assert isinstance(alone, Scored)
        assert ours.scores == pytest.approx(alone.scores, abs=5e-6)
        assert unpack(ours.embedding) == pytest.approx(unpack(alone.embedding), abs=1e-5)


def test_an_embedding_that_is_not_finite_is_an_error_though_the_scores_are(model: EmotionModel) -> None:
    class Broken:
        most_samples = 0
        min_samples = 400

        def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
            assert not frames
            numbers = np.array([[0.0 if wave.any() else np.inf] for wave in waves], np.float32)
            return Passed(numbers, np.zeros((len(waves), 9), np.float32), [])

    found = EmotionModel(model.identity, range(9), Broken()).run([np.zeros(400, np.float32)])
    assert found == [ItemError("the network gave no finite scores")]


def test_passes_that_mix_lengths_change_no_value_and_keep_the_ceiling(
    model: EmotionModel, waves: list[Wave], shapes: dict[str, NetworkConfig], random_network: Callable[..., Network]
) -> None:
    engine = Ragged(random_network(shapes["tiny"]))
    ragged = EmotionModel(model.identity, range(9), engine)
    waves = [*waves, waves[2][:19_000], waves[2][:18_500]]
    mixed = [emotion.scores for emotion in ragged.analyze(waves)]
    assert engine.passes == [[400, 400], [9_000], [18_500, 19_000], [20_000]]
    for found, expected in zip(mixed, model.analyze(waves), strict=True):
        assert found == pytest.approx(expected.scores, abs=1e-5)


def test_the_cost_is_measured_and_grows_with_the_audio(model: EmotionModel) -> None:
    assert model.profile.most_items(16_000) == 1
    assert 0 < model.cost([16_000]) < model.cost([160_000])
    assert model.cost([16_000, 16_000]) == pytest.approx(2 * model.cost([16_000]))


def test_the_identity_names_model_weights_precision_and_labels(
    model: EmotionModel, directories: Callable[[str], Path]
) -> None:
    identity = model.identity
    assert isinstance(identity, ModelIdentity)
    assert identity.name == directories("tiny").name
    assert len(identity.weights_sha256) == 64
    assert (identity.precision, identity.labels) == ("fp32", model.labels)


def test_what_cannot_be_loaded_is_refused(directories: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"precision 'fp8' is not known: .* one of fp32, bf16, int8"):
        load_model(directories("tiny"), precision="fp8")
    with pytest.raises(UsageError, match="fp16 runs on cuda only"):
        load_model(directories("tiny"), precision="fp16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(directories: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match="no CUDA device"):
        load_model(directories("tiny"), device="cuda")


def test_the_main_process_never_imports_torch() -> None:
    code = "import sys, streamproc.emotion, streamproc.emotion.device; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
