"""EmotionModel: waveforms to labels, scores and embeddings. Importing this does not import torch; loading does."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from streamproc.analyzer import measure
from streamproc.emotion.directory import find_directory
from streamproc.emotion.engine import Engine, Wave
from streamproc.emotion.errors import WaveformError
from streamproc.errors import UsageError
from streamproc.records.analysis import best
from streamproc.records.compute import ItemError
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile, split
from streamproc.settings import cache_root


@dataclass(frozen=True, slots=True)
class Emotion:
    """What the network says of one waveform."""

    label: str
    confidence: float
    scores: Mapping[str, float]
    """By English label, in the model's order; they sum to 1."""
    embedding: Wave
    """Mean of the frames, [embed_dim]."""
    frames: Wave | None = None
    """[frames, embed_dim], 50 to the second, the first one over samples 0 to 399; None unless it was asked for."""


class _Found(NamedTuple):
    """One waveform's share of a pass."""

    scores: Wave
    embedding: Wave
    frames: Wave | None
    finite: bool


class EmotionModel:
    """A loaded model. Not for several threads at once."""

    def __init__(self, identity: ModelIdentity, live: Sequence[int], engine: Engine) -> None:
        self.identity = identity
        self.labels = identity.labels
        self._live = list(live)
        self._engine = engine

    def analyze(self, waves: Sequence[Wave], *, frames: bool = False) -> list[Emotion]:
        """One value per waveform (1-D float32, 16 kHz, mono, at least 400 samples), in order; nothing is cut.

        ``frames`` asks for the frames, too: 205 kB for a second of audio with plus_large. Raises WaveformError, before
        anything is computed, for a waveform that is something else or not finite; and after, for one whose numbers
        are not finite.
        """
        for index, wave in enumerate(waves):
            if problem := self._problem(wave):
                raise WaveformError(index, problem)
        return [self._emotion(i, found) for i, found in enumerate(self._compute(waves, frames=frames))]

    def run(self, batch: Sequence[Wave]) -> list[tuple[float, ...] | ItemError]:
        """One tuple of scores in the order of ``labels``, or one error, per waveform; no item harms another."""
        problems = [self._problem(wave) for wave in batch]
        good = [i for i, problem in enumerate(problems) if not problem]
        values = dict(zip(good, map(_value, self._compute([batch[i] for i in good])), strict=True))
        return [ItemError(problem) if problem else values[i] for i, problem in enumerate(problems)]

    def cost(self, lengths: Sequence[int]) -> float:
        """Predicted seconds for waveforms of these lengths (samples)."""
        return self.profile.cost(lengths)

    @cached_property
    def profile(self) -> Profile:
        """Measured at first use, which also warms the network up: the best of a few runs of a few lengths."""
        return measure(lambda wave: self._engine.run([wave]), self._engine.most_samples)

    def _compute(self, waves: Sequence[Wave], *, frames: bool = False) -> list[_Found]:
        found: dict[int, _Found] = {}
        for places in split([len(wave) for wave in waves], self._engine.most_samples):
            passed = self._engine.run([waves[i] for i in places], frames=frames)
            # Labels without a meaning (`unuse_*`) get no share, as FunASR's -inf gives them none.
            logits = passed.logits[:, self._live]
            scores = softmax(logits)
            for row, place in enumerate(places):
                embedding = passed.embeddings[row]
                finite = bool(np.isfinite(logits[row]).all() and np.isfinite(embedding).all())
                found[place] = _Found(scores[row], embedding, passed.frames[row] if frames else None, finite)
        return [found[i] for i in range(len(waves))]

    def _problem(self, wave: Any) -> str:
        """What is wrong with a waveform; empty when nothing is."""
        if not isinstance(wave, np.ndarray) or wave.dtype != np.float32 or wave.ndim != 1:
            return f"{_shape(wave)}, not 1-D float32"
        if len(wave) < self._engine.min_samples:
            return f"{len(wave)} samples are under the {self._engine.min_samples} that one frame takes"
        return "" if np.isfinite(wave).all() else "holds samples that are not finite"

    def _emotion(self, index: int, found: _Found) -> Emotion:
        value = _value(found)
        if isinstance(value, ItemError):
            raise WaveformError(index, value.message)
        label, confidence = best(self.labels, value)
        scores = dict(zip(self.labels, value, strict=True))
        return Emotion(label, confidence, scores, found.embedding, found.frames)


def load_model(
    name_or_dir: str | Path, device: str = "auto", precision: str = "fp32", *, max_batch_seconds: float = 60
) -> EmotionModel:
    """Load a shipped model ("demo") or a pulled one by name, or a FunASR model directory by path.

    ``device`` is auto (the CPU), cpu or cuda, which is experimental. Raises CheckpointError for a directory
    that does not hold a whole model, UsageError for a device or a precision that there is not.
    """
    # torch takes a second and 200 MB: only who computes pays for it.
    from streamproc.emotion import checkpoint, runner  # noqa: PLC0415  # see above

    if precision != "fp32":
        raise UsageError(f"precision {precision!r} is not known: use fp32")
    loaded = checkpoint.load(find_directory(name_or_dir, cache_root(None, os.environ)))
    identity = ModelIdentity(loaded.name, loaded.weights_sha256, precision, loaded.labels)
    return EmotionModel(identity, loaded.live, runner.Runner(loaded.network, device, max_batch_seconds))


def softmax(logits: Wave) -> Wave:
    """[n, labels] -> the same, each row of shares that sum to 1; of NaN where a logit is not finite."""
    with np.errstate(invalid="ignore"):
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Wave = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _value(found: _Found) -> tuple[float, ...] | ItemError:
    return tuple(found.scores.tolist()) if found.finite else ItemError("the network gave no finite scores")


def _shape(wave: Any) -> str:
    return f"{wave.ndim}-D {wave.dtype}" if isinstance(wave, np.ndarray) else type(wave).__name__
