"""A model directory is loaded whole and true, or refused with what, where and what to do."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streamproc.emotion import checkpoint
from streamproc.emotion.errors import CheckpointError
from streamproc.emotion.funasr_config import parse_stem
from streamproc.emotion.manifest import sha256
from streamproc.emotion.network import PUBLISHED_STEM
from streamproc.errors import ExitCode, FatalError
from tests.unit.emotion.labels import FIRST_REVISION

Change = Callable[[dict[str, Any]], object]
ENGLISH = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")


@pytest.fixture
def directory(directories: Callable[[str], Path], tmp_path: Path) -> Path:
    """A whole tiny checkpoint to spoil."""
    return Path(shutil.copytree(directories("tiny"), tmp_path / "model"))


def test_the_name_is_that_of_the_folder(directory: Path) -> None:
    assert checkpoint.load(directory).name == "model"


def test_what_is_saved_is_loaded(directory: Path) -> None:
    loaded = checkpoint.load(directory)
    again = directory.parent / "again"
    checkpoint.save(
        again, loaded.network, ("a/angry", "b/disgusted", *("x/" + label for label in ENGLISH[2:8]), "<unk>")
    )
    second = checkpoint.load(again)
    assert loaded.labels == second.labels == ENGLISH
    assert second.network.config == loaded.network.config
    state = second.network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.network.state_dict().items())


def test_the_identity_is_the_hash_of_the_weights(directory: Path) -> None:
    before = checkpoint.load(directory).weights_sha256
    edit_weights(directory, lambda tensors: tensors["proj.bias"].add_(1))
    assert checkpoint.load(directory).weights_sha256 != before


def test_the_published_config_is_understood(directory: Path) -> None:
    """PyYAML reads the published ``1e-05`` as text."""
    path = directory / "config.yaml"
    path.write_text(path.read_text().replace("1.0e-05", "1e-05"))
    assert yaml.safe_load(path.read_text())["model_conf"]["norm_eps"] == "1e-05"
    assert checkpoint.load(directory).network.config.norm_eps == 1e-5


def test_training_only_tensors_and_optimizer_state_are_left_out(directory: Path) -> None:
    body = torch.load(directory / "model.pt", weights_only=True)
    extra = {
        "d2v_model.modality_encoders.AUDIO.decoder.proj.weight": torch.zeros(3),
        "d2v_model._ema.x": torch.zeros(1),
    }
    state = {"state": {0: {"exp_avg": torch.zeros(5)}}}
    torch.save({"model": body["model"] | extra, "last_optimizer_state": state}, directory / "model.pt")
    assert checkpoint.load(directory).labels == ENGLISH


def test_unuse_labels_have_no_meaning(directory: Path) -> None:
    (directory / "tokens.txt").write_text("\n".join(FIRST_REVISION))
    loaded = checkpoint.load(directory)
    assert loaded.labels == ("angry", "happy", "neutral", "sad", "unknown")
    assert loaded.live == (0, 1, 3, 5, 6)


def edit_config(directory: Path, change: Change) -> None:
    body = yaml.safe_load((directory / "config.yaml").read_text())
    change(body["model_conf"])
    (directory / "config.yaml").write_text(yaml.safe_dump(body))


def edit_weights(directory: Path, change: Change) -> None:
    body = torch.load(directory / "model.pt", weights_only=True)
    change(body["model"])
    torch.save(body, directory / "model.pt")


def refusal(directory: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(directory)
    assert caught.value.exit_code == ExitCode.NO_RESTART
    assert caught.value.path.parent == directory
    assert caught.value.remedy
    return caught.value


def audio(conf: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = conf["modalities"]["audio"]
    return found


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c.pop("embed_dim"), "embed_dim"),
        (lambda c: audio(c).pop("conv_pos_groups"), "conv_pos_groups"),
        (lambda c: c.update(embed_dim="32"), "embed_dim"),
        (lambda c: c.update(depth=True), "depth"),
        (lambda c: c.update(depth=10**9), "depth"),
        (lambda c: c.update(norm_eps="small"), "norm_eps"),
        (lambda c: c.update(mlp_ratio=2.0), "mlp_ratio"),
        (lambda c: c.update(layer_norm_first=True), "layer_norm_first"),
        (lambda c: c.update(modalities=None), "modalities"),
        (lambda c: c.update(num_heads=5), "heads"),
        (lambda c: audio(c).update(learned_alibi=True), "learned_alibi"),
        (lambda c: audio(c).update(conv_pos_width=20), "kernel"),
        (lambda c: audio(c).update(feature_encoder_spec="__import__('os').abort()"), "feature_encoder_spec"),
        (lambda c: audio(c).update(feature_encoder_spec="[(8, 10, 0)]"), "size"),
    ],
)
def test_a_config_that_lacks_or_mistypes_a_key_is_refused(directory: Path, change: Change, named: str) -> None:
    edit_config(directory, change)
    assert named in refusal(directory).problem


@pytest.mark.parametrize("name", ["config.yaml", "configuration.json", "tokens.txt", "model.pt"])
def test_a_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    assert refusal(directory).path.name == name


@pytest.mark.parametrize("name", ["config.yaml", "configuration.json", "tokens.txt", "model.pt"])
@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"[1", b"x" * 2_000_000], ids=["empty", "bytes", "cut", "huge"])
def test_a_file_of_something_else_is_named(directory: Path, name: str, body: bytes) -> None:
    (directory / name).write_bytes(body)
    assert refusal(directory).path.name in {name, "config.yaml", "model.pt"}


def unscoped(tensors: dict[str, Any]) -> None:
    """FunASR's own names, which lack the published beginning."""
    for name in list(tensors):
        tensors[name.removeprefix("d2v_model.")] = tensors.pop(name)


def test_keys_that_would_run_code_elsewhere_do_nothing(directory: Path) -> None:
    (directory / "requirements.txt").write_text("/nowhere/package\n")
    canary = directory / "canary"
    (directory / "model.py").write_text(f"import os; os.mkdir({str(canary)!r})")
    path = directory / "config.yaml"
    body = yaml.safe_load(path.read_text())
    evil = {"trust_remote_code": True, "remote_code": "./model.py", "init_param": "/etc/passwd"}
    path.write_text(yaml.safe_dump(body | evil))
    assert checkpoint.load(directory).labels == ENGLISH
    assert not canary.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: !!python/object/apply:os.abort []", "could not determine a constructor"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "aliases"),
        ("a: &a {k: v}\nb: {<<: [*a, *a]}\n", "aliases"),
        ("[" * 5_000, "recursion"),
        ("a: " + "x" * 70_000, "over 65536 bytes"),
    ],
    ids=["python", "aliases", "merges", "deep", "huge"],
)
def test_yaml_that_would_run_or_grow_is_refused(directory: Path, text: str, says: str) -> None:
    (directory / "config.yaml").write_text(text)
    assert says in refusal(directory).problem


def test_json_that_is_too_deep_is_refused(directory: Path) -> None:
    (directory / "configuration.json").write_text("[" * 60_000)
    assert refusal(directory).path.name == "configuration.json"


@pytest.mark.parametrize("name", ["config.yaml", "configuration.json", "tokens.txt", "model.pt"])
def test_a_link_out_of_the_directory_is_refused(directory: Path, name: str) -> None:
    outside = directory.parent / name
    (directory / name).rename(outside)
    (directory / name).symlink_to(outside)
    assert "out of the directory" in refusal(directory).problem


def test_a_link_inside_the_directory_is_followed(directory: Path) -> None:
    (directory / "data").mkdir()
    (directory / "model.pt").rename(directory / "data" / "1")
    (directory / "model.pt").symlink_to("data/1")
    assert checkpoint.load(directory).labels == ENGLISH


@pytest.mark.parametrize("name", ["config.yaml", "configuration.json", "tokens.txt", "model.pt"])
def test_what_is_no_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    (directory / name).mkdir()
    assert refusal(directory).path.name == name


def test_weights_that_change_while_they_are_read_need_another_start(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def and_touched(path: Path) -> str:
        digest = sha256(path)
        path.write_bytes(path.read_bytes() + b"x")
        return digest

    monkeypatch.setattr(checkpoint, "sha256", and_touched)
    with pytest.raises(FatalError, match="changed while it was read") as caught:
        checkpoint.load(directory)
    assert caught.value.exit_code == ExitCode.FATAL


def test_a_large_file_that_was_checked_is_not_hashed_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.emotion.checked.SMALL", 0)
    monkeypatch.setattr("streamproc.emotion.checked.SETTLED_NS", -(10**12))
    first = checkpoint.load(directory)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "sha256", None)
        second = checkpoint.load(directory)
    assert second.weights_sha256 == first.weights_sha256
    edit_weights(directory, lambda tensors: tensors["proj.bias"].fill_(float("nan")))
    assert "not finite" in refusal(directory).problem


@pytest.mark.parametrize("name", ["/etc/passwd", "../model.pt", "a/b", "", 7, None])
def test_weights_outside_the_directory_are_not_read(directory: Path, name: object) -> None:
    path = directory / "configuration.json"
    body = json.loads(path.read_text())
    body["file_path_metas"]["init_param"] = name
    path.write_text(json.dumps(body))
    assert "plain file names" in refusal(directory).problem


@pytest.mark.parametrize(
    ("tokens", "told_of"),
    [
        ("", "tokens.txt"),
        ("a/angry\nb/angry\n", "tokens.txt"),
        ("a/\nb/happy\n", "tokens.txt"),
        ("unuse_0\n", "tokens.txt"),
        ("a/angry\nb/happy\n", "model.pt"),  # good labels, of a network with fewer classes than these weights
    ],
)
def test_labels_that_are_not_one_word_for_each_class_are_refused(directory: Path, tokens: str, told_of: str) -> None:
    (directory / "tokens.txt").write_text(tokens)
    assert refusal(directory).path.name == told_of


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("proj.bias"), "missing ['proj.bias']"),
        (lambda t: t.update(stray=torch.zeros(1)), "unknown ['stray']"),
        (lambda t: t.update({"proj.bias": torch.zeros(8)}), "(8,)"),
        (lambda t: t.update({"proj.bias": torch.zeros(9).half()}), "float16"),
        (lambda t: t.update({"proj.bias": torch.zeros(9).double()}), "float64"),
        (lambda t: t["proj.bias"].fill_(float("nan")), "not finite"),
        (lambda t: t["proj.weight"].view(-1)[7:8].fill_(float("inf")), "not finite"),
        (unscoped, "missing"),
        (lambda t: t.update({"proj.bias": 3}), "no tensors"),
    ],
)
def test_a_tensor_that_is_missing_unknown_or_wrong_is_refused(directory: Path, change: Change, named: str) -> None:
    edit_weights(directory, change)
    assert named in refusal(directory).problem


def test_weights_that_are_no_dictionary_are_refused(directory: Path) -> None:
    torch.save([torch.zeros(1)], directory / "model.pt")
    assert "no tensors by name" in refusal(directory).problem


def test_a_flipped_byte_in_the_structure_is_refused(directory: Path) -> None:
    path = directory / "model.pt"
    body = bytearray(path.read_bytes())
    body[body.index(b"OrderedDict" if b"OrderedDict" in body else b"_rebuild_tensor_v2")] ^= 0xFF
    path.write_bytes(body)
    assert "not a weights file" in refusal(directory).problem


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_refused(directory: Path, kept: float) -> None:
    path = directory / "model.pt"
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert "not a weights file" in refusal(directory).problem


class Evil:
    """Makes a directory when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.canary),)


def test_code_inside_a_weights_file_is_not_run(directory: Path) -> None:
    canary = directory / "canary"
    torch.save({"model": Evil(canary)}, directory / "model.pt")
    assert "not a weights file" in refusal(directory).problem
    assert not canary.exists()
    torch.load(directory / "model.pt", weights_only=False)  # shows that the file is as evil as it should be
    assert canary.exists()


def test_saving_needs_a_token_for_each_class(directory: Path) -> None:
    with pytest.raises(ValueError, match="2 tokens for 9 classes"):
        checkpoint.save(directory, checkpoint.load(directory).network, ("a/b", "c/d"))


def test_the_published_stem_is_parsed() -> None:
    assert parse_stem("[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]") == PUBLISHED_STEM


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "[]",
        "[(1,2)]",
        "[(1,2,3)] * x",
        "[(1,2,3)] * 99",
        "[(1,2,3)",
        "[(1,2,-3)]",
        "[(1,2,3)] - [(1,2,3)]",
        "1 + 1",
    ],
)
def test_a_stem_that_is_no_list_of_layers_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="feature_encoder_spec"):
        parse_stem(spec)


@given(st.text(alphabet="[](), *+0123456789x", max_size=60))
def test_any_text_is_a_stem_or_refused(spec: str) -> None:
    try:
        layers = parse_stem(spec)
    except ValueError:
        return
    assert layers
    assert all(len(layer) == 3 for layer in layers)
