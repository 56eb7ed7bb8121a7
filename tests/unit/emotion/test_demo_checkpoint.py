import hashlib
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from streamproc.emotion import checkpoint, load_model
from streamproc.emotion.checkpoint import Checkpoint
from streamproc.emotion.comparison import difference
from streamproc.emotion.network import collate
from streamproc.emotion.precision import Precision

DEMO = Path(str(files("streamproc.emotion"))) / "checkpoints" / "demo"
HELD_OUT = Path(__file__).parents[2] / "data" / "heldout"
ACCURACY = json.loads((DEMO / "accuracy.json").read_text(encoding="utf-8"))
BOUND = 5e-3
"""Of a score: what ``model info --measure`` takes unless told otherwise."""
CLIPS: list[dict[str, Any]] = json.loads((HELD_OUT / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def demo() -> Checkpoint:
    return checkpoint.load(DEMO)


def waveform(row: dict[str, Any]) -> NDArray[np.float32]:
    """1-D float32, as the clip is shipped."""
    body, rate = soundfile.read(HELD_OUT / row["file"], dtype="float32")
    assert (body.ndim, rate) == (1, 16_000)
    return body  # type: ignore[no-any-return]  # soundfile ships no types


def scores(demo: Checkpoint, wave: NDArray[np.float32]) -> dict[str, float]:
    """Score by label, the clip run alone."""
    with torch.inference_mode():
        logits = demo.network.logits(*collate([torch.from_numpy(wave)], demo.network.config.stem))
    return dict(zip(demo.labels, logits.softmax(-1)[0].tolist(), strict=True))


def test_weights_are_the_recorded_ones_and_at_most_4_mb() -> None:
    body = (DEMO / "model.pt").read_bytes()
    assert hashlib.sha256(body).hexdigest() == ACCURACY["model_sha256"]
    assert len(body) <= 4_000_000


def test_held_out_clips_are_the_manifest_s_and_balanced() -> None:
    assert {row["file"] for row in CLIPS} == {file.name for file in HELD_OUT.glob("*.ogg")}
    for row in CLIPS:
        assert hashlib.sha256((HELD_OUT / row["file"]).read_bytes()).hexdigest() == row["sha256"]
        assert soundfile.info(HELD_OUT / row["file"]).duration == pytest.approx(row["seconds"], abs=0.001)
    labels = [row["label"] for row in CLIPS]
    assert {labels.count(label) for label in labels} == {len(labels) // 6}


def test_checkpoint_labels_held_out_clips_at_its_recorded_accuracy(demo: Checkpoint) -> None:
    found = [scores(demo, waveform(row)) for row in CLIPS]
    right = sum(max(given, key=given.__getitem__) == row["label"] for given, row in zip(found, CLIPS, strict=True))
    assert ACCURACY["shipped"]["clips"] == len(CLIPS)
    assert right == pytest.approx(ACCURACY["shipped"]["right"], abs=1)  # one clip may sit on the fence of another CPU
    assert right / len(CLIPS) >= 0.8


def test_recorded_confusion_adds_up_to_the_recorded_accuracy() -> None:
    for judged in (ACCURACY["shipped"], ACCURACY["held_out"]):
        confusion = judged["confusion"]
        assert sum(sum(row.values()) for row in confusion.values()) == judged["clips"]
        assert sum(row.get(label, 0) for label, row in confusion.items()) == judged["right"]


def test_funasr_reads_the_same_scores_from_it(demo: Checkpoint, reference: Callable[[Path], Any]) -> None:
    judge = reference(DEMO)
    for row in CLIPS[::16]:
        wave = waveform(row)
        (theirs,) = judge.generate(wave, granularity="utterance", extract_embedding=False)
        labels = [label.rpartition("/")[2].replace("<unk>", "unknown") for label in theirs["labels"]]
        expected = dict(zip(labels, theirs["scores"], strict=True))
        ours = scores(demo, wave)
        assert max(ours, key=ours.__getitem__) == max(expected, key=expected.__getitem__)
        assert ours == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.INT8])
def test_narrower_precisions_stay_inside_what_is_recommended(precision: Precision) -> None:
    """On the held-out clips, as docs/engine.md has them."""
    waves = [waveform(row) for row in CLIPS]
    found, expected = (load_model("demo", "cpu", bits).analyze(waves) for bits in (precision, Precision.FP32))
    seen = difference(found, expected)
    assert 0 < seen.most < BOUND
    assert seen.clear_flips == 0
