"""EmotionModel: waveforms to labels, scores and embeddings. Importing this does not import torch; loading does."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from streamproc.cache_root import cache_root
from streamproc.emotion.directory import find_directory
from streamproc.emotion.engine import Choosing, Engine, Wave
from streamproc.emotion.errors import WaveformError
from streamproc.emotion.passes import Begun, Passes, Row
from streamproc.emotion.precision import FASTEST, MAPPED, check, check_weights, stated
from streamproc.emotion.trials import measure
from streamproc.records.analysis import best
from streamproc.records.compute import ItemError, Scored
from streamproc.records.embedding import pack
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile


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


class EmotionModel:
    """A loaded model. Not for several threads at once."""

    def __init__(self, identity: ModelIdentity, live: Sequence[int], engine: Engine) -> None:
        self.identity = identity
        self.labels = identity.labels
        self._live = list(live)
        self._engine = engine
        self._passes = Passes(engine)

    @property
    def choices(self) -> Sequence[str]:
        """What the start chose on this machine, and from what; empty where there was nothing to choose from."""
        return [str(choice) for choice in self._engine.choices] if isinstance(self._engine, Choosing) else []

    def analyze(self, waves: Sequence[Wave], *, frames: bool = False) -> list[Emotion]:
        """One value per waveform (1-D float32, 16 kHz, mono, at least 400 samples), in order; nothing is cut.

        ``frames`` asks for the frames, too: 205 kB for a second of audio with plus_large. Raises WaveformError, before
        anything is computed, for a waveform that is something else or not finite; and after, for one whose numbers
        are not finite.
        """
        for index, wave in enumerate(waves):
            if problem := self._problem(wave):
                raise WaveformError(index, problem)
        return [self._emotion(i, row) for i, row in enumerate(self._passes.run(waves, frames=frames))]

    def run(self, batch: Sequence[Wave]) -> list[Scored | ItemError]:
        """Scores in the order of ``labels`` and an embedding, or one error, per waveform; no item harms another."""
        return self.begin(batch).take()

    def begin(self, batch: Sequence[Wave]) -> "BegunBatch":
        """``run`` in two: what can be launched is, and the rest and the values come when it is taken.

        Two batches may be under way. On the CPU nothing is computed before ``take``.
        """
        problems = [self._problem(wave) for wave in batch]
        good = [wave for wave, problem in zip(batch, problems, strict=True) if not problem]
        return BegunBatch(problems, self._passes.begin(good), self._value)

    def cost(self, lengths: Sequence[int]) -> float:
        """Predicted seconds for waveforms of these lengths (samples)."""
        return self.profile.cost(lengths)

    @cached_property
    def profile(self) -> Profile:
        """Measured at first use, which also warms the network up (``trials``)."""
        return measure(self._engine, self._passes)

    def _value(self, row: Row) -> Scored:
        return Scored(self._scores(row), pack(row.embedding))

    def _scores(self, row: Row) -> tuple[float, ...]:
        # Labels without a meaning (`unuse_*`) get no share, as FunASR's -inf gives them none.
        return tuple(softmax(row.logits[None, self._live])[0].tolist())

    def _problem(self, wave: Any) -> str:
        """What is wrong with a waveform; empty when nothing is."""
        if not isinstance(wave, np.ndarray) or wave.dtype != np.float32 or wave.ndim != 1:
            return f"{_shape(wave)}, not 1-D float32"
        if len(wave) < self._engine.min_samples:
            return f"{len(wave)} samples are under the {self._engine.min_samples} that one frame takes"
        return "" if np.isfinite(wave).all() else "holds samples that are not finite"

    def _emotion(self, index: int, row: Row | ItemError) -> Emotion:
        if isinstance(row, ItemError):
            raise WaveformError(index, row.message)
        scores = self._scores(row)
        label, confidence = best(self.labels, scores)
        return Emotion(label, confidence, dict(zip(self.labels, scores, strict=True)), row.embedding, row.frames)


@dataclass(frozen=True, slots=True)
class BegunBatch:
    """A batch under way. It has to be taken."""

    problems: Sequence[str]
    """Of each waveform; empty for those that are computed."""
    begun: Begun
    value: Callable[[Row], Scored]

    @property
    def padding(self) -> int:
        """Samples that are computed for nothing, as planned."""
        return self.begun.padding

    def ready(self) -> bool:
        """Whether it has come as far as it can without being taken."""
        return self.begun.ready()

    def take(self) -> list[Scored | ItemError]:
        """What ``EmotionModel.run`` gives."""
        rows = iter(self.begun.take())
        ends = [ItemError(problem) if problem else next(rows) for problem in self.problems]
        return [end if isinstance(end, ItemError) else self.value(end) for end in ends]


def load_model(
    name_or_dir: str | Path,
    device: str = "auto",
    precision: str = "fp32",
    *,
    weights: str = FASTEST,
    max_batch_seconds: float = 60,
) -> EmotionModel:
    """Load a shipped model ("demo") or a pulled one by name, or a FunASR model directory by path.

    ``device`` is auto (the CPU), cpu or cuda, which is experimental. ``weights`` are laid out as this CPU computes
    fastest, or stay mapped from their file, where processes share them. Raises CheckpointError for a directory that
    does not hold a whole model, UsageError for a device or a precision that there is not.
    """
    # torch takes a second and 200 MB: only who computes pays for it.
    from streamproc.emotion import checkpoint, half, runner  # noqa: PLC0415  # see above

    kind = runner.choose_device(device).type
    bits = check(precision, kind)
    check_weights(weights, bits, kind)
    loaded = checkpoint.load(find_directory(name_or_dir, cache_root(None, os.environ)))
    identity = ModelIdentity(
        loaded.name,
        loaded.weights_sha256,
        stated(bits, kind),
        loaded.labels,
        embed_dim=loaded.network.config.embed_dim,
    )
    engine: Engine
    if kind == "cuda":
        from streamproc.emotion.cuda.engine import open_cuda  # noqa: PLC0415  # its imports serve CUDA alone

        engine = open_cuda(half.cast(loaded.network, bits), max_batch_seconds)
    else:
        engine = runner.Runner(loaded.network, runner.CPU_KINDS[bits], share=weights == MAPPED)
    return EmotionModel(identity, loaded.live, engine)


def softmax(logits: Wave) -> Wave:
    """[n, labels] -> the same, each row of shares that sum to 1; of NaN where a logit is not finite."""
    with np.errstate(invalid="ignore"):
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Wave = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _shape(wave: Any) -> str:
    return f"{wave.ndim}-D {wave.dtype}" if isinstance(wave, np.ndarray) else type(wave).__name__
