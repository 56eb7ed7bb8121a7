"""How far apart two computations of one clip's numbers may lie."""

from dataclasses import dataclass
from enum import StrEnum


class Output(StrEnum):
    """What the engine gives for a clip."""

    FRAMES = "frames"
    EMBEDDING = "embedding"
    SCORES = "scores"


class Against(StrEnum):
    """What a clip's numbers are compared with."""

    FUNASR = "FunASR, that file alone"
    ITSELF = "the engine, that clip alone"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest difference of any single number."""

    frames: float
    embedding: float
    scores: float

    def of(self, output: Output) -> float:
        """The bound of one output."""
        return {Output.FRAMES: self.frames, Output.EMBEDDING: self.embedding, Output.SCORES: self.scores}[output]


BOUNDS = {
    # Two programs that add the same float32 numbers in another order end some 1e-6 apart; a batch that is padded
    # wrongly ends 1e-2 to 1 apart. 1e-4 lies between: nobody who reads a score with three digits sees it.
    Against.FUNASR: Bounds(frames=1e-4, embedding=1e-4, scores=1e-4),
    # One program differs from itself only by the kernel that a product's size selects, so ten times less is left to it.
    # Scores are what is published: half of a unit in their fifth digit, so that company changes none of the first four.
    Against.ITSELF: Bounds(frames=1e-5, embedding=1e-5, scores=5e-6),
}
SATURATED = 0.9
"""A softmax above this hides errors of its logits: most clips of a random model must stay under it."""
