"""Train the demo checkpoint: ``python -m tools.demo.train OUT`` (needs espeak-ng).

Synthesises speech, trains a narrow emotion2vec+ on it, judges it on voices and sentences that it has not heard, and
writes a FunASR model directory with ``accuracy.json``. One seed with one thread count gives one file, bit for bit, on
one machine with one torch; elsewhere the bytes differ and the accuracy is what can be compared.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from streamproc.emotion import checkpoint
from tools.demo import learn, speech

TOKENS = (
    *("生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral"),
    *("其他/other", "难过/sad", "吃惊/surprised", "<unk>"),
)
"""The lines of tokens.txt as emotion2vec+ publishes them, in the order of ``learn.LABELS``."""

HELD_OUT_CLIPS = Path("tests/data/heldout")
LEAST_ACCURACY = 0.8


def synthesise(lines: Sequence[speech.Line]) -> learn.Corpus:
    """The waveforms of these lines and their classes."""
    waves = [torch.from_numpy(wave) for wave in speech.read_aloud(lines, os.cpu_count() or 1)]
    return learn.Corpus(waves, _classes([line.emotion for line in lines]))


def shipped_clips(folder: Path) -> learn.Corpus:
    """The held-out clips as they are shipped: decoded by soundfile to float32; they are 16 kHz mono already."""
    rows = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    waves = [torch.from_numpy(soundfile.read(folder / row["file"], dtype="float32")[0]) for row in rows]
    return learn.Corpus(waves, _classes([row["label"] for row in rows]))


def judge(loaded: checkpoint.Checkpoint, corpus: learn.Corpus) -> dict[str, Any]:
    """How many clips are labelled as they were spoken, and what was said of the others."""
    said = learn.classify(loaded.network, corpus.waves)
    right = int((said == corpus.classes).sum())
    confusion: dict[str, dict[str, int]] = {}
    for true, guess in zip(corpus.classes.tolist(), said.tolist(), strict=True):
        row = confusion.setdefault(loaded.labels[true], {})
        row[loaded.labels[guess]] = row.get(loaded.labels[guess], 0) + 1
    tidy = {true: dict(sorted(row.items())) for true, row in sorted(confusion.items())}
    clips = len(corpus.waves)
    return {"clips": clips, "right": right, "accuracy": round(right / clips, 4), "confusion": tidy}


def _classes(emotions: Sequence[str]) -> Tensor:
    return torch.tensor([learn.LABELS.index(emotion) for emotion in emotions])


def _say(text: str) -> None:
    print(text, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the demo checkpoint on synthesised speech.")
    parser.add_argument("out", type=Path, help="the FunASR model directory to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=learn.Recipe().steps)
    parser.add_argument("--threads", type=int, default=1, help="of torch; another count gives other bytes")
    parser.add_argument("--heldout", type=Path, default=HELD_OUT_CLIPS, help="folder of the shipped held-out clips")
    return parser.parse_args()


def main() -> None:
    """Run from the command line."""
    options = _arguments()
    out: Path = options.out
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(mode=True)
    begun = time.monotonic()
    corpus, held_out = synthesise(speech.training_script()), synthesise(speech.held_out_script())
    for name, clips in (("training", corpus), ("held out", held_out)):
        _say(f"{name}: {len(clips.waves)} clips, {sum(map(len, clips.waves)) / speech.SAMPLE_RATE:.0f} s")
    network = learn.new_network(options.seed)
    learn.learn(network, corpus, learn.Recipe(steps=options.steps), options.seed, _say)
    checkpoint.save(out, network, TOKENS)
    loaded = checkpoint.load(out)
    accuracy = {
        "what": "synthetic espeak-ng prosody, held out by voice and text; this is no accuracy on people",
        "shipped": judge(loaded, shipped_clips(options.heldout)),
        "held_out": judge(loaded, held_out),
        "seed": options.seed,
        "steps": options.steps,
        "threads": options.threads,
        "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "model_sha256": hashlib.sha256((out / "model.pt").read_bytes()).hexdigest(),
    }
    text = json.dumps(accuracy, indent=1)
    (out / "accuracy.json").write_text(text + "\n", encoding="utf-8")
    _say(f"{text}\n{time.monotonic() - begun:.0f} s in all")
    if min(accuracy[judged]["accuracy"] for judged in ("shipped", "held_out")) < LEAST_ACCURACY:
        raise SystemExit(f"accuracy is under {LEAST_ACCURACY}: do not ship this checkpoint")


if __name__ == "__main__":
    main()
