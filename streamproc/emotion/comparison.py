"""Comparison: what each precision gains and costs beside fp32, on the machine and the clips at hand."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.engine import Wave
from streamproc.emotion.model import Emotion, EmotionModel
from streamproc.emotion.precision import Precision
from streamproc.telemetry.told import Told

CLEAR = 0.05
"""A label whose score leads by more than this may not flip."""
WORTH = 1.1
"""Speed over fp32's under which no number should be given away for it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """From fp32, over all clips."""

    most: float
    """Of any score of any clip."""
    mean: float
    """Of all scores of all clips."""
    cosine: float
    """The least between two embeddings of a clip."""
    flips: int
    """Clips with another label."""
    clear_flips: int
    """Those among them whose label led by more than ``CLEAR`` in fp32."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One precision beside fp32."""

    precision: Precision
    audio_seconds_per_s: float
    """Median of the turns."""
    ratio: tuple[float, float, float]
    """Its speed over fp32's in the same turn: least, median, most."""
    difference: Difference

    def within(self, bound: float) -> bool:
        """Whether its numbers may stand for fp32's."""
        return self.difference.most <= bound and not self.difference.clear_flips


@dataclass(frozen=True, slots=True)
class Comparison:
    """All precisions of a device, fp32 first, and the fastest one inside the bound."""

    clips: int
    clip_seconds: float
    turns: int
    bound: float
    rows: Sequence[Measured]

    @property
    def recommended(self) -> Precision:
        """Never taken by itself: a group of workers has one precision, and changing it changes the fingerprint."""
        worth = [row for row in self.rows if row.within(self.bound) and row.ratio[1] >= WORTH]
        return max(worth, key=lambda row: row.ratio[1]).precision if worth else Precision.FP32


def compare(
    models: Mapping[Precision, EmotionModel], waves: Sequence[Wave], turns: int, bound: float, told: Told
) -> Comparison:
    """Run all clips through all models, turn by turn, clip by clip in turn; the first round does not count.

    ``models`` are of one checkpoint on one device, fp32 among them. Raises WaveformError for a clip that fails in one.
    """
    found = {precision: model.analyze(waves) for precision, model in models.items()}
    seconds: dict[Precision, list[float]] = {precision: [0.0] * turns for precision in models}
    order = list(models)
    for turn in range(turns):
        for number, wave in enumerate(waves):
            first = (turn + number) % len(order)
            for precision in order[first:] + order[:first]:
                start = time.perf_counter()
                models[precision].run([wave])
                seconds[precision][turn] += time.perf_counter() - start
        told("turns", "all precisions", turn + 1, turns)
    audio = sum(map(len, waves)) / SAMPLE_RATE
    base = seconds[Precision.FP32]
    rows = []
    for precision in order:
        ratios = sorted(b / own for b, own in zip(base, seconds[precision], strict=True))
        rows.append(
            Measured(
                precision,
                audio / median(seconds[precision]),
                (ratios[0], median(ratios), ratios[-1]),
                difference(found[precision], found[Precision.FP32]),
            )
        )
    return Comparison(len(waves), audio, turns, bound, rows)


def difference(found: Sequence[Emotion], expected: Sequence[Emotion]) -> Difference:
    """Of one precision's values from fp32's, clip by clip."""
    apart, cosines, flips, clear = [], [], 0, 0
    for ours, judge in zip(found, expected, strict=True):
        apart += [abs(ours.scores[label] - judge.scores[label]) for label in judge.scores]
        one, other = ours.embedding.astype(np.float64), judge.embedding.astype(np.float64)
        cosines.append(float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other))))
        if ours.label != judge.label:
            flips += 1
            clear += _margin(judge) > CLEAR
    return Difference(max(apart), fmean(apart), min(cosines), flips, clear)


def _margin(emotion: Emotion) -> float:
    first, second = sorted(emotion.scores.values(), reverse=True)[:2]
    return first - second
