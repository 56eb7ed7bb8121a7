"""``model pull | info | verify`` as people and scripts use them."""

import json
import re
import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.bench.waves import make_waves, to_wav
from streamproc.cli.app import app
from streamproc.emotion import checkpoint
from streamproc.emotion.layout import WEIGHTS
from streamproc.emotion.manifest import sha256
from streamproc.emotion.model import load_model
from streamproc.emotion.pins import NEEDED
from streamproc.records.identity import fingerprint
from streamproc.settings import load_settings
from tools.hub import Address, LocalHub, serving

NAME, REPO = "emotion2vec_plus_seed", "emotion2vec/emotion2vec_plus_seed"
DEMO = Path(checkpoint.__file__).parent / "checkpoints" / "demo"

run = CliRunner()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The demo's checkpoint in place of a published one: the program pins none of this model's files."""
    return Path(shutil.copytree(DEMO, tmp_path / "published"))


@pytest.fixture
def hub(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    files = {Address(REPO, "r1", name): published / name for name in NEEDED}
    with serving(LocalHub(files)) as local:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("STREAMPROC_MODEL__HUB_URL", local.url)
        monkeypatch.setenv("STREAMPROC_LOCAL__CACHE_DIR", str(tmp_path / "cache"))
        yield local


Command = Callable[..., list[str]]


@pytest.fixture
def command(published: Path) -> Command:
    def words(**pins: str) -> list[str]:
        known = {name: sha256(published / name) for name in NEEDED} | {WEIGHTS: pins.get("weights", "")}
        known[WEIGHTS] = known[WEIGHTS] or sha256(published / WEIGHTS)
        given = [word for name, digest in known.items() for word in ("--sha256", f"{name}={digest}")]
        return ["model", "pull", NAME, "--revision", "r1", *given]

    return words


def test_pull_says_what_came_and_whose_it_is_and_what_is_next(hub: LocalHub, command: Command) -> None:
    done = run.invoke(app, command())
    assert done.exit_code == 0, done.output
    assert "all 4 files are what is pinned" in done.stdout
    assert "Attribution: emotion2vec+ seed by the emotion2vec authors" in done.stdout
    assert "Licence: FunASR Model Open Source License Agreement" in done.stdout
    assert f"STREAMPROC_MODEL__NAME_OR_DIR={NAME}@r1 streamproc worker" in done.stdout
    assert "model.pt: 3,901,146 of 3,901,146 bytes" in done.stderr
    asked = len(hub.asked)
    again = run.invoke(app, command())
    assert "It was there already" in again.stdout
    assert len(hub.asked) == asked


def test_pull_as_json(hub: LocalHub, command: Command) -> None:
    done = run.invoke(app, [*command(), "--json"])
    told = json.loads(done.stdout)
    assert told["fetched_bytes"] == sum(record["size"] for record in told["manifest"]["files"].values())
    assert told["manifest"]["licence"]
    assert Path(told["directory"], WEIGHTS).stat().st_size == told["manifest"]["files"][WEIGHTS]["size"]
    assert len(hub.asked) == len(NEEDED)


def test_wrong_bytes_are_one_line_with_file_and_hashes(hub: LocalHub, command: Command, published: Path) -> None:
    done = run.invoke(app, command(weights="0" * 64))
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {WEIGHTS}: expected sha256 {'0' * 64}, found ")
    assert sha256(published / WEIGHTS) in done.stderr
    assert [asked.file for asked in hub.asked][-1] == WEIGHTS


def test_a_hub_that_is_away_is_exit_code_3(hub: LocalHub, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_MODEL__HUB_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("streamproc.emotion.pull.time.sleep", lambda _: None)
    done = run.invoke(app, command())
    assert done.exit_code == 3
    assert "hub_url" in done.stderr
    assert "streamproc up" not in done.stderr
    assert hub.asked == []


@pytest.mark.parametrize("words", [["pull", NAME], ["pull", "none"], ["pull", NAME, "--sha256", "x"], ["info", NAME]])
def test_what_cannot_be_is_exit_code_2(hub: LocalHub, words: list[str]) -> None:
    done = run.invoke(app, ["model", *words])
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert hub.asked == []


def test_a_model_that_is_not_pulled_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMPROC_LOCAL__CACHE_DIR", str(tmp_path))
    done = run.invoke(app, ["model", "info", "emotion2vec_plus_large"])
    assert "streamproc model pull emotion2vec_plus_large" in done.stderr


def test_info_of_the_set_model() -> None:
    told = json.loads(run.invoke(app, ["model", "info", "--json"]).stdout)
    assert (told["name"], told["source"], told["note"]) == ("demo", None, "")
    assert len(told["labels"]) == 9
    assert told["weights_sha256"] == sha256(DEMO / WEIGHTS)
    assert told["parameters"] == sum(p.numel() for p in checkpoint.load(DEMO).network.parameters())
    assert told["fingerprints"].keys() == {"mix", "split"}
    assert told["sizes"][WEIGHTS] == (DEMO / WEIGHTS).stat().st_size


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_fingerprint_that_is_told_is_the_workers(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    monkeypatch.setenv("STREAMPROC_MODEL__PRECISION", precision)
    told = json.loads(run.invoke(app, ["model", "info", "--json"]).stdout)
    assert told["fingerprints"]["mix"] == fingerprint(load_model("demo", "cpu", precision).identity, "mix")


def test_no_fingerprint_is_told_of_what_another_engine_would_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_MODEL__ENGINE", "funasr")
    told = json.loads(run.invoke(app, ["model", "info", "--json"]).stdout)
    assert (told["engine"], told["fingerprints"]) == ("funasr", {})


def test_a_precision_that_no_worker_would_start_with_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_MODEL__PRECISION", "fp16")
    done = run.invoke(app, ["model", "info"])
    assert done.exit_code == 2
    assert "fp16 runs on cuda only" in done.stderr


def test_info_of_a_pulled_model_names_its_source(hub: LocalHub, command: Command) -> None:
    run.invoke(app, command())
    done = run.invoke(app, ["model", "info", NAME])
    assert done.exit_code == 0, done.output
    for words in (f"huggingface {REPO} @ r1", "9: angry, disgusted", "FunASR Model Open Source", "fingerprint, mix"):
        assert words in done.stdout
    assert hub.asked


def test_the_early_upload_with_five_labels_is_recognised(published: Path) -> None:
    lines = ("a/angry", "unuse_0", "unuse_1", "h/happy", "n/neutral", "unuse_2", "s/sad", "unuse_3", "<unk>")
    (published / "tokens.txt").write_text("\n".join(lines))
    done = run.invoke(app, ["model", "info", str(published)])
    assert "5: angry, happy, neutral, sad, unknown" in done.stdout
    assert "first upload" in done.stdout


def test_verify_hashes_again(hub: LocalHub, command: Command) -> None:
    directory = Path(json.loads(run.invoke(app, [*command(), "--json"]).stdout)["directory"])
    done = run.invoke(app, ["model", "verify", NAME])
    assert (done.exit_code, done.stdout) == (0, f"All 4 files are what was pulled: {directory}\n")
    assert json.loads(run.invoke(app, ["model", "verify", NAME, "--json"]).stdout)["revision"] == "r1"
    body = bytearray((directory / WEIGHTS).read_bytes())
    body[len(body) // 2] ^= 1
    (directory / WEIGHTS).write_bytes(body)
    done = run.invoke(app, ["model", "verify", NAME])
    assert done.exit_code == 5
    assert f"{WEIGHTS}: sha256 is {sha256(directory / WEIGHTS)}, pulled was" in done.stderr
    assert hub.asked


def test_a_worker_finds_the_model_where_it_was_pulled(hub: LocalHub, command: Command) -> None:
    from streamproc.wiring import located

    directory = json.loads(run.invoke(app, [*command(), "--json"]).stdout)["directory"]
    settings = load_settings(model={"name_or_dir": NAME})
    assert located(settings).name_or_dir == directory
    assert located(load_settings()).name_or_dir == str(DEMO)
    assert hub.asked


def test_verify_needs_something_to_compare_with() -> None:
    done = run.invoke(app, ["model", "verify", "demo"])
    assert done.exit_code == 2
    assert "nothing to compare" in done.stderr


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, samples in enumerate(make_waves(2, 1, 0.5, 1.0)):
        (folder / f"{number}.wav").write_bytes(to_wav(samples))
    (folder / "notes.txt").write_text("not a recording")
    return folder


def test_every_precision_of_this_machine_is_measured_on_ones_own_recordings(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMPROC_MODEL__THREADS", "1")
    words = ["model", "info", "demo", "--measure", "--turns", "1", "--clips", str(recordings)]
    told = json.loads(run.invoke(app, [*words, "--bound", "0.5", "--json"]).stdout)
    assert told["name"] == "demo"
    measured = told["measured"]
    assert [row["precision"] for row in measured["rows"]] == ["fp32", "bf16", "int8"]
    assert (measured["clips"], measured["bound"]) == (2, 0.5)
    assert measured["machine"]["cores"] >= 1
    assert measured["rows"][0]["difference"]["most"] == 0 < measured["rows"][2]["difference"]["most"] < 0.5
    shown = " ".join(run.invoke(app, words).stdout.split())
    assert "precision audio-s/s ratio most mean cosine flips clear inside" in shown
    assert "2 clips of" in shown
    assert re.search(r"least to most: bf16 [0-9.]+ to [0-9.]+; int8 [0-9.]+ to [0-9.]+\.", shown)
    assert re.search(r"[0-9]+ cores, load [0-9.]+ before, Python", shown)
    assert "none over 0.005" in shown
    assert "Recommended here: model.precision = " in shown


def test_recordings_that_cannot_be_measured_are_exit_code_2(recordings: Path, tmp_path: Path) -> None:
    words = ["model", "info", "demo", "--measure", "--clips"]
    empty = run.invoke(app, [*words, str(tmp_path / "nowhere")])
    assert (empty.exit_code, "holds no recordings" in empty.stderr) == (2, True)
    (recordings / "0.wav").write_bytes(b"RIFF")
    broken = run.invoke(app, [*words, str(recordings)])
    assert (broken.exit_code, "0.wav cannot be read" in broken.stderr) == (2, True)
    with wave.open(str(recordings / "0.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(4000))
    stereo = run.invoke(app, [*words, str(recordings)])
    assert (stereo.exit_code, "2 channels at 8000 Hz" in stereo.stderr) == (2, True)
