"""Trials on engines whose times are known: the curve that is fitted is theirs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from streamproc.analyzer import measure as measure_alone
from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.engine import Passed, Wave
from streamproc.emotion.passes import Passes
from streamproc.emotion.trials import LONG_S, measure
from streamproc.errors import Fatal, FatalError
from streamproc.records.compute import ItemError
from streamproc.records.profile import Profile

TRUE = Profile(0, 0.002, 4e-7, 2e-13, 3e-13)
"""Near the demo's: 6 ms for a second of audio in a short clip, three times as much in one of 60 s."""


@dataclass
class Clocked:
    """An engine that takes its curve's time, by a clock of its own."""

    most_samples: int
    memory: int = 10**9
    min_samples: int = 1
    now: float = 0.0
    passes: list[tuple[int, int]] = field(default_factory=list)

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        assert not frames
        samples = len(waves[0])
        self.passes.append((len(waves), samples))
        if len(waves) * samples > self.memory:
            raise MemoryError
        self.now += TRUE.pass_s + len(waves) * (TRUE.cost([samples]) - TRUE.pass_s)
        return Passed(np.zeros((len(waves), 2), np.float32), np.zeros((len(waves), 2), np.float32), [])


@dataclass
class Alone(Clocked):
    """One of a CPU."""

    def blocks_s(self, samples: int) -> float:
        return TRUE.cost([samples]) - TRUE.pass_s - TRUE.sample_s / 2 * samples


@pytest.mark.parametrize(
    ("most", "memory"), [(0, 10**9), (60 * SAMPLE_RATE, 10**9), (60 * SAMPLE_RATE, 31 * SAMPLE_RATE)]
)
def test_the_curve_is_the_engines_own(monkeypatch: pytest.MonkeyPatch, most: int, memory: int) -> None:
    engine = Clocked(most, memory) if most else Alone(most)
    monkeypatch.setattr(time, "perf_counter", lambda: engine.now)
    passes = Passes(engine)
    found = measure(engine, passes)
    assert found.most_samples == passes.most_samples <= min(most, memory)
    assert (found.most_samples < most) == (memory < most)
    for seconds in (0.5, 2, 6, 15, 60):
        samples = int(seconds * SAMPLE_RATE)
        assert found.cost([samples]) == pytest.approx(TRUE.cost([samples]), rel=1e-3)


def test_on_a_cpu_no_long_clip_has_to_run_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Alone(0)
    monkeypatch.setattr(time, "perf_counter", lambda: engine.now)
    measure(engine, Passes(engine))
    assert max(samples for _, samples in engine.passes) < LONG_S * SAMPLE_RATE


@dataclass
class Broken(Clocked):
    """An engine of which nothing comes back, or no numbers."""

    raises: bool = True

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        if self.raises:
            raise RuntimeError("could not create a primitive")
        return super().run(waves, frames=frames)._replace(logits=np.full((len(waves), 2), np.nan, np.float32))


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("most", [0, 60 * SAMPLE_RATE])
def test_a_device_that_computes_nothing_is_not_warm(most: int, *, raises: bool) -> None:
    engine = Broken(most, raises=raises)
    with pytest.raises(FatalError, match="primitive" if raises else "finite") as raised:
        measure(engine, Passes(engine))
    assert raised.value.cause is Fatal.DEVICE_FAILS


def test_neither_is_an_analyzer_whose_clips_are_all_errors() -> None:
    heard: list[Wave] = []

    def run(wave: Wave) -> ItemError:
        heard.append(wave)
        return ItemError("no kernel")

    with pytest.raises(FatalError, match="no kernel"):
        measure_alone(run)
    assert heard[0].std() > 0, "silence is faster than sound on an accelerator"
