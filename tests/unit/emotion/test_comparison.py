"""Comparison: what is counted, and what follows from it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamproc.emotion import load_model
from streamproc.emotion.comparison import CLEAR, Comparison, Difference, Measured, compare, difference
from streamproc.emotion.model import Emotion
from streamproc.emotion.precision import Precision

Wave = NDArray[np.float32]


def emotion(angry: float, embedding: tuple[float, float] = (1, 0)) -> Emotion:
    scores = {"angry": angry, "sad": 1 - angry}
    label = max(scores, key=scores.__getitem__)
    return Emotion(label, scores[label], scores, np.array(embedding, np.float32))


def test_differences_are_over_all_clips_and_a_flip_counts_by_what_led() -> None:
    expected = [emotion(0.9), emotion(0.52), emotion(0.6, (3, 4))]
    found = [emotion(0.8), emotion(0.49), emotion(0.3, (4, 3))]
    seen = difference(found, expected)
    assert seen.most == pytest.approx(0.3)
    assert seen.mean == pytest.approx((0.1 + 0.03 + 0.3) / 3)
    assert seen.cosine == pytest.approx(24 / 25)
    assert (seen.flips, seen.clear_flips) == (2, 1)
    assert 0.52 - 0.48 < CLEAR < 0.6 - 0.4


def measured(precision: Precision, ratio: float, most: float, clear_flips: int = 0) -> Measured:
    return Measured(
        precision, 10 * ratio, (ratio, ratio, ratio), Difference(most, most / 10, 1.0, clear_flips, clear_flips)
    )


@pytest.mark.parametrize(
    ("others", "recommended"),
    [
        ([measured(Precision.BF16, 1.5, 1e-3), measured(Precision.INT8, 3, 2e-3)], Precision.INT8),
        ([measured(Precision.BF16, 1.5, 1e-3), measured(Precision.INT8, 3, 6e-3)], Precision.BF16),
        ([measured(Precision.BF16, 1.5, 1e-3), measured(Precision.INT8, 3, 1e-3, 1)], Precision.BF16),
        ([measured(Precision.BF16, 1.05, 1e-3)], Precision.FP32),
        ([measured(Precision.BF16, 0.6, 1e-3)], Precision.FP32),
    ],
    ids=["the fastest", "too far off", "a clear flip", "no gain to speak of", "slower"],
)
def test_the_fastest_inside_the_bound_is_recommended(others: list[Measured], recommended: Precision) -> None:
    rows = [measured(Precision.FP32, 1, 0), *others]
    assert Comparison(3, 10.0, 5, 5e-3, rows).recommended is recommended


def test_models_are_compared_clip_by_clip(directories: Callable[[str], Path], clip: Callable[[int, int], Wave]) -> None:
    models = {bits: load_model(directories("tiny"), "cpu", bits) for bits in (Precision.FP32, Precision.INT8)}
    waves = [clip(samples, samples) for samples in (8_000, 24_000)]
    told: list[tuple[int, int]] = []
    found = compare(models, waves, 2, 5e-3, lambda _name, _text, done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert (found.clips, found.clip_seconds) == (2, 2.0)
    base, int8 = found.rows
    assert min(base.ratio) == max(base.ratio) == 1
    assert (base.difference.most, base.difference.mean, base.difference.flips) == (0, 0, 0)
    assert base.difference.cosine == pytest.approx(1)
    assert int8.difference.most > 0
    assert int8.audio_seconds_per_s > 0
    assert int8.ratio[0] <= int8.ratio[1] <= int8.ratio[2]
