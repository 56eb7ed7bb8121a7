"""The same models on FunASR's own network: its numbers, and none of its traps."""

import json
import pickle
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

from streamproc.analyzer import AnalyzerOptions
from streamproc.arena import SLOT_SAMPLES
from streamproc.emotion import load_model
from streamproc.emotion.engines import check_engine, load_analyzer
from streamproc.emotion.errors import CheckpointError
from streamproc.emotion.funasr_globals import kept_globals
from streamproc.emotion.funasr_model import FunasrModel, load_funasr
from streamproc.errors import UsageError
from streamproc.records.compute import ItemError, Scored
from streamproc.records.embedding import pack, unpack
from streamproc.records.identity import fingerprint

Wave = NDArray[np.float32]
Judged = Callable[[Path, Sequence[Wave]], list[tuple[Wave, Wave]]]
Directories = Callable[[str], Path]
Clip = Callable[[int, int], Wave]
LENGTHS = (400, 401, 5_000, 16_000, 40_000)


def copy(source: Path, target: Path) -> Path:
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def change_config(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "config.yaml"
    body = yaml.safe_load(path.read_text("utf-8"))
    change(body)
    path.write_text(yaml.safe_dump(body), "utf-8")


def change_weights(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "model.pt"
    tensors = torch.load(path, weights_only=True)["model"]
    change(tensors)
    torch.save({"model": tensors}, path)


def largest(found: Sequence[Scored | ItemError], expected: Sequence[Scored | ItemError]) -> float:
    """Of any difference, in scores and embeddings."""

    def numbers(one: Scored | ItemError) -> Wave:
        assert isinstance(one, Scored)
        return np.concatenate([np.array(one.scores, np.float32), unpack(one.embedding)])

    return max(float(np.abs(numbers(a) - numbers(b)).max()) for a, b in zip(found, expected, strict=True))


def as_funasr_says(judged: Sequence[tuple[Wave, Wave]]) -> list[Scored | ItemError]:
    """Its embedding of a clip is the mean of its frames."""
    return [Scored(tuple(scores.tolist()), pack(frames.mean(0))) for frames, scores in judged]


@pytest.fixture(scope="module")
def tiny(directories: Directories) -> FunasrModel:
    return load_funasr(directories("tiny"), "cpu", "fp32")


@pytest.mark.parametrize("shape", ["small", "thin", "tiny"])
def test_its_values_are_funasrs_and_ours(shape: str, directories: Directories, judged: Judged, clip: Clip) -> None:
    directory = directories(shape)
    waves = [clip(samples, seed) for seed, samples in enumerate(LENGTHS)]
    found = load_funasr(directory, "cpu", "fp32").run(waves)
    assert largest(found, as_funasr_says(judged(directory, waves))) <= 1e-6
    assert largest(found, load_model(directory, device="cpu").run(waves)) <= 1e-4


def another_kind(model_conf: dict[str, Any]) -> None:
    """What the network of our own does not know."""
    model_conf |= {"layer_norm_first": True, "mlp_ratio": 2.0, "norm_affine": False, "norm_eps": "1e-05"}
    model_conf["modalities"]["audio"] |= {"use_alibi_encoder": False, "extractor_mode": "default"}


def test_a_model_that_only_funasr_can_run_runs(
    directories: Directories, judged: Judged, clip: Clip, tmp_path: Path
) -> None:
    directory = copy(directories("tiny"), tmp_path / "kind")
    change_config(directory, lambda body: another_kind(body["model_conf"]))
    with kept_globals():
        from funasr.models.emotion2vec.model import Emotion2vec
    body = yaml.safe_load((directory / "config.yaml").read_text("utf-8"))["model_conf"]
    network = Emotion2vec(model_conf=body | {"norm_eps": 1e-5}, vocab_size=9)
    state = {name: torch.randn(value.shape) * 0.1 for name, value in network.state_dict().items()}
    state["proj.weight"] *= 10
    prefixed = {name if name.startswith("proj.") else f"d2v_model.{name}": value for name, value in state.items()}
    torch.save({"model": prefixed}, directory / "model.pt")

    with pytest.raises(CheckpointError):
        load_model(directory, device="cpu")
    waves = [clip(samples, seed) for seed, samples in enumerate(LENGTHS)]
    found = load_funasr(directory, "cpu", "fp32").run(waves)
    expected = as_funasr_says(judged(directory, waves))
    assert largest(found, expected) <= 1e-6
    assert largest(expected[1:], expected[:-1]) > 1e-3


def test_its_fingerprint_is_another_than_ours(directories: Directories, tiny: FunasrModel) -> None:
    ours = load_model(directories("tiny"), device="cpu").identity
    assert tiny.identity.engine.startswith("funasr 1.")
    assert (tiny.identity.labels, tiny.identity.weights_sha256) == (ours.labels, ours.weights_sha256)
    assert fingerprint(tiny.identity, "mix") != fingerprint(ours, "mix")


def test_labels_without_a_meaning_have_no_share(directories: Directories, clip: Clip, tmp_path: Path) -> None:
    directory = copy(directories("tiny"), tmp_path / "five")
    lines = (directory / "tokens.txt").read_text("utf-8").splitlines()
    lines[1:3] = ["unuse_0", "unuse_1"]
    (directory / "tokens.txt").write_text("\n".join(lines) + "\n\n", "utf-8")  # FunASR counts the blank line as a label
    model = load_funasr(directory, "cpu", "fp32")
    assert len(model.identity.labels) == 7
    wave = clip(9_000, 3)
    assert largest(model.run([wave]), load_model(directory, device="cpu").run([wave])) <= 1e-4


def test_bad_waveforms_are_errors_and_harm_no_neighbour(tiny: FunasrModel, clip: Clip) -> None:
    good = clip(8_000, 1)
    bad: list[Any] = [
        good[:399],
        good[:0],
        np.full(900, np.nan, np.float32),
        good.astype(np.int16),
        good.reshape(-1, 2),
    ]
    first, *errors, last = tiny.run([good, *bad, good])
    assert all(isinstance(error, ItemError) for error in errors)
    assert [first] == [last] == tiny.run([good])
    # 3e38 is a number, and its square is none: what FunASR hands out as scores is not.
    overflow = np.full(8_000, 3e38, np.float32) * np.where(np.arange(8_000) % 2, 1, -1).astype(np.float32)
    assert tiny.run([overflow]) == [ItemError("the network gave no finite scores")]
    backwards = good[::-1]
    backwards.flags.writeable = False
    assert tiny.run([backwards]) == tiny.run([good[::-1].copy()])


def test_a_long_clip_leaves_no_memory_behind(tiny: FunasrModel, clip: Clip) -> None:
    tiny.run([clip(SLOT_SAMPLES, 1)])
    kept = {name: bias.shape for name, bias in tiny._network.alibi_biases.items()}
    assert kept
    tiny.run([clip(SLOT_SAMPLES + 320, 1)])
    assert not tiny._network.alibi_biases
    tiny.run([clip(SLOT_SAMPLES, 1)])
    assert {name: bias.shape for name, bias in tiny._network.alibi_biases.items()} == kept


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda tensors: tensors.pop("proj.weight"), "1 tensors missing"),
        (lambda tensors: tensors.update({"d2v_model.blocks.7.norm1.weight": torch.ones(3)}), "1 unknown"),
        (lambda tensors: tensors.update({"proj.bias": torch.zeros(8)}), r"proj.bias is \(8,\), not \(9,\)"),
        (lambda tensors: tensors.update({"proj.bias": torch.full((9,), torch.nan)}), "proj.bias holds values"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: Callable[[dict[str, Any]], object], problem: str, directories: Directories, tmp_path: Path
) -> None:
    """FunASR prints a line and runs with random weights."""
    directory = copy(directories("tiny"), tmp_path / "changed")
    change_weights(directory, change)
    with pytest.raises(CheckpointError, match=problem):
        load_funasr(directory, "cpu", "fp32")


def audio(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda body: body["model_conf"]["modalities"]["audio"].update(changes)


def model(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda body: body["model_conf"].update(changes)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (audio(feature_encoder_spec="[__import__('os').abort()]"), "is no list of"),
        (audio(learned_alibi=True), "learned_alibi"),
        (audio(prenet_depth=10**9), "prenet_depth"),
        (audio(extractor_mode="no such"), "FunASR builds no network of it"),
        (model(norm_eps="${oc.env:HOME}"), "model_conf.norm_eps: interpolations are not read"),
        (model(embed_dim=1 << 20), "embed_dim"),
        (model(embed_dim=33), "FunASR builds no network of it"),
        (model(loss_scale={1: 2}), "1 is no name"),
        (lambda body: body.update(model="SenseVoiceSmall"), "model: Input should be 'Emotion2vec'"),
        (lambda body: body.pop("model_conf"), "model_conf: Field required"),
    ],
)
def test_a_config_that_is_no_plain_shape_is_refused(
    change: Callable[[dict[str, Any]], object], problem: str, directories: Directories, tmp_path: Path
) -> None:
    directory = copy(directories("tiny"), tmp_path / "changed")
    change_config(directory, change)
    with pytest.raises(CheckpointError, match=problem):
        load_funasr(directory, "cpu", "fp32")


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(directories: Directories, tmp_path: Path) -> None:
    directory = copy(directories("tiny"), tmp_path / "trap")
    sprung = tmp_path / "sprung"
    torch.save({"model": {"proj.bias": Trap(sprung)}}, directory / "model.pt")
    with pytest.raises(CheckpointError, match="not a weights file"):
        load_funasr(directory, "cpu", "fp32")
    (directory / "model.pt").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(CheckpointError, match="not a weights file"):
        load_funasr(directory, "cpu", "fp32")
    assert not sprung.exists()


WATCHED = """
import json, logging, os, sys
from pathlib import Path
import numpy as np
import torch
seen = {"network": [], "opened": []}
def watch(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "http.client.connect"}:
        seen["network"].append(str(arguments))
    elif event == "open" and str(arguments[0]).startswith(sys.argv[1]):
        seen["opened"].append(Path(str(arguments[0])).name)
    elif event == "subprocess.Popen":
        seen["network"] += [a for a in map(str, arguments[1]) if "pip" in a or sys.argv[1] in a]
sys.addaudithook(watch)
from streamproc.emotion.funasr_model import load_funasr
from streamproc.emotion.model import load_model
def state():
    root = logging.getLogger()
    return (root.handlers[:], root.level, torch.get_num_threads(), torch.get_rng_state().tolist(),
            str(np.random.get_state()), random.getstate(), dict(os.environ), sys.path[:], sys.stdout)
import random
torch.set_num_threads(3)
before = state()
found = load_funasr(sys.argv[1], "cpu", "fp32").run([np.zeros(400, np.float32)])
seen["kept"] = state() == before
seen["found"] = len(found[0].scores)
print(json.dumps(seen))
"""


def test_a_load_asks_nobody_runs_nothing_and_leaves_the_process_as_it_was(
    directories: Directories, tmp_path: Path
) -> None:
    """With all that a published directory can ask FunASR for."""
    directory = copy(directories("tiny"), tmp_path / "asks")
    (directory / "model.py").write_text("raise SystemExit('it was run')")
    (directory / "requirements.txt").write_text("no-such-package\n")
    wishes = {"trust_remote_code": True, "remote_code": str(directory / "model.py"), "vad_model": "fsmn-vad"}
    change_config(directory, lambda body: body.update(wishes))
    command = [sys.executable, "-c", WATCHED, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    seen = json.loads(done.stdout)  # and nothing else is on stdout
    assert seen["network"] == []
    assert {*seen["opened"]} - {"checked.json", "manifest.json"} == {
        *("config.yaml", "configuration.json", "tokens.txt", "model.pt")
    }
    assert seen["kept"]
    assert seen["found"] == 9


def test_where_it_is_not_installed_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "funasr", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[funasr\]'"):
        check_engine("funasr")
    check_engine("streamproc")
    check_engine("somebodys.module:factory")


def options(directory: Path, precision: str = "fp32") -> AnalyzerOptions:
    return AnalyzerOptions(str(directory), "cpu", precision, threads=1, max_batch_seconds=60)


def test_it_is_loaded_by_name_and_says_what_it_cannot_do(
    directories: Directories, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(load_analyzer("funasr", options(directories("tiny"))), FunasrModel)
    with pytest.raises(UsageError, match="fp32 alone"):
        load_analyzer("funasr", options(directories("tiny"), precision="bf16"))
    monkeypatch.setitem(sys.modules, "funasr.models.emotion2vec.model", None)
    with pytest.raises(UsageError, match="cannot be imported"):
        load_analyzer("funasr", options(directories("tiny")))


@pytest.mark.parametrize("engine", ["no_such_module:make", "streamproc.analyzer:no_such_name"])
def test_an_analyzer_that_is_not_there_is_wrong_use(engine: str, directories: Directories) -> None:
    with pytest.raises(UsageError, match=f"model.engine is {engine}, which cannot be imported"):
        load_analyzer(engine, options(directories("tiny")))


def test_the_extra_is_the_version_that_judges_us() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))
    (extra,) = project["project"]["optional-dependencies"]["funasr"]
    assert extra in project["dependency-groups"]["dev"]
