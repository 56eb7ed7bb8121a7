"""The real network with faults planted into its passes: k poisoned of n give k errors, and n - k correct results."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from streamproc.emotion import checkpoint
from streamproc.emotion.engine import Passed, Wave
from streamproc.emotion.passes import Passes, Row
from streamproc.emotion.runner import Runner
from streamproc.records.compute import ItemError

CLIPS = 24
SAMPLES = 4_800
WITHIN = 1e-5


class Planted(Runner):
    """The network on the CPU in passes of many clips, of which those in ``poisoned`` (by their first sample) fail."""

    most_samples = CLIPS * SAMPLES
    fault = "raises"
    memory = most_samples
    poisoned: frozenset[float] = frozenset()
    passes = 0

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        self.passes += 1
        if len(waves) * max(map(len, waves)) > self.memory:
            raise MemoryError("planted")
        bad = [float(wave[0]) in self.poisoned for wave in waves]
        if any(bad) and self.fault == "raises":
            raise RuntimeError("planted")
        if any(bad) and self.fault == "spoils everything":
            return super().run([wave * np.float32(np.nan) for wave in waves], frames=frames)
        return super().run([wave * np.float32(np.nan if it else 1) for wave, it in zip(waves, bad, strict=True)])


@pytest.fixture
def planted(directories: Callable[[str], Path]) -> Planted:
    return Planted(checkpoint.load(directories("tiny")).network)


@pytest.fixture
def waves(clip: Callable[[int, int], Wave]) -> list[Wave]:
    return [clip(SAMPLES, seed) for seed in range(CLIPS)]


def check(found: Sequence[Row | ItemError], alone: Sequence[Row | ItemError], failed: Sequence[int]) -> None:
    assert [place for place, end in enumerate(found) if isinstance(end, ItemError)] == sorted(failed)
    for end, other in zip(found, alone, strict=True):
        if isinstance(end, Row):
            assert isinstance(other, Row)
            assert np.abs(end.embedding - other.embedding).max() < WITHIN
            assert np.abs(end.logits - other.logits).max() < WITHIN


@pytest.mark.parametrize("fault", ["raises", "spoils everything", "spoils its own row"])
@pytest.mark.parametrize("poisoned", [[], [0], [23], [11, 12], [0, 1, 2], [3, 9, 15, 21], list(range(CLIPS))], ids=str)
def test_each_poisoned_clip_is_an_error_and_each_neighbour_a_result(
    planted: Planted, waves: list[Wave], fault: str, poisoned: list[int]
) -> None:
    alone = [end for wave in waves for end in Passes(planted).run([wave])]
    planted.fault, planted.poisoned = fault, frozenset(float(waves[place][0]) for place in poisoned)
    planted.passes = 0
    check(Passes(planted).run(waves), alone, poisoned)
    assert planted.passes - 1 <= 2 * len(poisoned) * (math.ceil(math.log2(CLIPS)) + 1)


def test_too_little_memory_costs_nobody_a_result_and_is_learned(planted: Planted, waves: list[Wave]) -> None:
    alone = [end for wave in waves for end in Passes(planted).run([wave])]
    planted.memory = 5 * SAMPLES
    passes = Passes(planted)
    check(passes.run(waves), alone, [])
    planted.passes = 0
    check(passes.run(waves), alone, [])
    assert planted.passes == math.ceil(CLIPS / 3)  # 24, 12, 6 and then 3 went in
