"""The engine under comparison, and the values that are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamproc.emotion import checkpoint
from streamproc.emotion.engine import Wave
from streamproc.emotion.linears import FP32, Kind
from streamproc.emotion.model import EmotionModel, softmax
from streamproc.emotion.runner import Runner
from streamproc.records.identity import ModelIdentity
from tools.parity.bounds import Output


@dataclass(frozen=True, slots=True)
class Value:
    """One clip's numbers."""

    frames: Wave
    embedding: Wave
    scores: Wave

    def differences(self, other: "Value") -> dict[Output, float]:
        """The largest difference of any number, by output; infinite where it is none, or where one has more numbers."""
        pairs = {
            Output.FRAMES: (self.frames, other.frames),
            Output.EMBEDDING: (self.embedding, other.embedding),
            Output.SCORES: (self.scores, other.scores),
        }
        return {output: _difference(*pair) for output, pair in pairs.items()}


def _difference(found: Wave, expected: Wave) -> float:
    largest = np.abs(found - expected).max() if found.shape == expected.shape else np.inf
    return float(largest) if np.isfinite(largest) else np.inf


class Ours:
    """The model of a directory as a worker on a CPU has it, and its engine, which takes any batch in one pass.

    ``kinds`` are what it may choose its products from.
    """

    def __init__(self, directory: Path, kinds: Mapping[str, Kind] = FP32) -> None:
        loaded = checkpoint.load(directory)
        identity = ModelIdentity(directory.name, loaded.weights_sha256, "fp32", loaded.labels)
        self.parameters = sum(parameter.numel() for parameter in loaded.network.parameters())
        self._live = list(loaded.live)
        self._engine = Runner(loaded.network, kinds)
        self._model = EmotionModel(identity, loaded.live, self._engine)
        self.choices = self._model.choices

    def alone(self, wave: Wave) -> Value:
        """What ``analyze`` says of one clip."""
        (emotion,) = self._model.analyze([wave], frames=True)
        assert emotion.frames is not None  # noqa: S101  # they were asked for
        return Value(emotion.frames, emotion.embedding, np.array(list(emotion.scores.values()), np.float32))

    def together(self, waves: Sequence[Wave]) -> Sequence[Value]:
        """One padded pass, in this order."""
        passed = self._engine.run(waves, frames=True)
        scores = softmax(passed.logits[:, self._live])
        return [Value(*of) for of in zip(passed.frames, passed.embeddings, scores, strict=True)]
