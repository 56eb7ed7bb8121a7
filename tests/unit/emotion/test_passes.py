"""Passes over an engine with little memory and clips that break it: everybody comes to an end of their own."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streamproc.arena import SAMPLE_RATE, SLOT_SAMPLES
from streamproc.emotion.engine import Passed, Wave
from streamproc.emotion.passes import Passes, Row
from streamproc.emotion.torch_errors import translated
from streamproc.errors import Fatal, FatalError
from streamproc.records.compute import ItemError

ROOMY = 10**9
FAULTS: dict[str, Callable[[], float]] = {
    "raises RuntimeError": lambda: _raise(RuntimeError("kernel")),
    "raises ValueError": lambda: _raise(ValueError("shape")),
    "raises FloatingPointError": lambda: _raise(FloatingPointError("overflow")),
    "spoils the whole pass": lambda: math.nan,
}


def _raise(error: Exception) -> float:
    raise error


@dataclass
class Fussy:
    """An engine by its contract: a clip's numbers are its first sample's, unless it or a neighbour is poisoned."""

    most_samples: int = ROOMY
    memory: int = ROOMY
    """Padded samples."""
    poisoned: Callable[[float], bool] = lambda _: False
    fault: Callable[[], float] = FAULTS["raises RuntimeError"]
    min_samples: int = 1
    passes: list[list[int]] = field(default_factory=list)

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        self.passes.append([len(wave) for wave in waves])
        if len(waves) * max(map(len, waves)) > self.memory:
            raise MemoryError("no room")
        bad = self.fault() if any(self.poisoned(float(wave[0])) for wave in waves) else 0.0
        numbers = np.array([[wave[0] + bad, 1] for wave in waves], np.float32)
        return Passed(numbers, numbers, [wave[None] for wave in waves] if frames else [])


def waves_of(lengths: Sequence[int]) -> list[Wave]:
    """Waveforms that are told apart by their numbers."""
    return [np.full(length, place, np.float32) for place, length in enumerate(lengths)]


def check(found: Sequence[Row | ItemError], waves: Sequence[Wave], failed: set[int]) -> None:
    """Each has its own numbers, or an error if it is to blame."""
    assert len(found) == len(waves)
    for place, (end, wave) in enumerate(zip(found, waves, strict=True)):
        if place in failed:
            assert isinstance(end, ItemError)
        else:
            assert isinstance(end, Row)
            assert end.embedding[0] == end.logits[0] == wave[0]


LENGTHS = st.lists(st.integers(1, 50), max_size=40)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@given(lengths=LENGTHS, data=st.data())
def test_a_poisoned_clip_costs_few_passes_and_no_neighbour(
    fault: Callable[[], float], lengths: list[int], data: st.DataObject
) -> None:
    same = [50] * len(lengths)
    poisoned = set(data.draw(st.lists(st.sampled_from(range(len(lengths))), unique=True))) if lengths else set()
    engine = Fussy(poisoned=lambda number: number in poisoned, fault=fault)
    waves = waves_of(same)
    check(Passes(engine).run(waves), waves, poisoned)
    count = len(waves)
    extra = len(engine.passes) - (1 if waves else 0)
    assert extra <= 2 * len(poisoned) * (math.ceil(math.log2(count or 1)) + 1)


@given(lengths=LENGTHS, memory=st.integers(50, 300), data=st.data())
def test_little_memory_and_poison_together_still_give_each_an_end(
    lengths: list[int], memory: int, data: st.DataObject
) -> None:
    poisoned = set(data.draw(st.lists(st.sampled_from(range(len(lengths))), unique=True))) if lengths else set()
    engine = Fussy(memory=memory, poisoned=lambda number: number in poisoned)
    waves = waves_of(lengths)
    check(Passes(engine).run(waves), waves, poisoned)


@given(count=st.integers(1, 128), memory=st.integers(10, 1280))
def test_a_ceiling_that_was_learned_holds_for_later_passes(count: int, memory: int) -> None:
    engine = Fussy(memory=memory)
    passes = Passes(engine)
    waves = waves_of([10] * count)
    check(passes.run(waves), waves, set())
    learned, tried = passes.most_samples, len(engine.passes)
    check(passes.run(waves), waves, set())
    again = engine.passes[tried:]
    assert all(10 * len(clips) <= memory for clips in again)  # nothing fails twice
    if 10 * count <= memory:
        assert learned == ROOMY
    else:
        assert memory / 2 - 10 < learned <= memory  # halving finds at least half of what there is


def test_a_ceiling_is_said_once() -> None:
    passes = Passes(Fussy(memory=5 * SAMPLE_RATE))
    waves = waves_of([SAMPLE_RATE] * 8)
    with capture_logs() as lines:
        for _ in range(3):
            passes.run(waves)
    assert [(line["log_level"], line["seconds"]) for line in lines] == [("warning", 4.0)]


def test_a_clip_longer_than_a_segment_may_be_too_long_and_lowers_nothing() -> None:
    passes = Passes(Fussy(memory=SLOT_SAMPLES))
    found = passes.run(waves_of([SLOT_SAMPLES + 1, 50]))
    assert isinstance(found[0], ItemError)
    assert "no memory for 15.0 s" in found[0].message
    assert isinstance(found[1], Row)
    assert passes.most_samples == ROOMY


def test_a_device_that_cannot_hold_a_segment_blames_nobody() -> None:
    with pytest.raises(FatalError, match=r"no memory for 15\.0 s") as raised:
        Passes(Fussy(memory=SLOT_SAMPLES - 1)).run(waves_of([SLOT_SAMPLES]))
    assert raised.value.cause is Fatal.DEVICE_FAILS


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_device_that_fails_whatever_it_hears_blames_nobody(fault: Callable[[], float]) -> None:
    with pytest.raises(FatalError, match="whatever it hears") as raised:
        Passes(Fussy(poisoned=lambda _: True, fault=fault)).run(waves_of([10, 10, 20]))
    assert raised.value.cause is Fatal.DEVICE_FAILS


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_device_that_was_short_of_something_for_a_moment_blames_nobody(fault: Callable[[], float]) -> None:
    calls = iter(range(10**6))
    engine = Fussy(poisoned=lambda _: next(calls) == 0, fault=fault)
    waves = waves_of([10])
    check(Passes(engine).run(waves), waves, set())


def test_frames_follow_their_clip() -> None:
    waves = waves_of([30, 10, 20])
    for end, wave in zip(Passes(Fussy()).run(waves, frames=True), waves, strict=True):
        assert isinstance(end, Row)
        assert end.frames is not None
        assert np.array_equal(end.frames[0], wave)


def test_an_engine_that_loses_a_row_ends_the_process() -> None:
    class Short(Fussy):
        def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
            return super().run(waves[1:], frames=frames)

    with pytest.raises(FatalError, match="1 rows for 2 waveforms"):
        Passes(Short()).run(waves_of([10, 10]))


def test_what_torch_raises_without_memory_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match="allocate"), translated():
        torch.empty(1 << 50)
    with pytest.raises(MemoryError, match="on the card"), translated():
        raise torch.OutOfMemoryError("on the card")
    with pytest.raises(MemoryError, match="cublasCreate"), translated():
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: illegal memory access"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`, illegal or not"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED, illegal or not"),
    ],
)
def test_a_device_that_is_lost_blames_no_clip(error: Exception) -> None:
    def lost() -> float:
        with translated():
            return _raise(error)

    with pytest.raises(FatalError, match="illegal"):
        Passes(Fussy(poisoned=lambda _: True, fault=lost)).run(waves_of([10, 10]))


def test_what_torch_says_of_a_clip_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="Kernel size"), translated():
        torch.nn.functional.conv1d(torch.ones(1, 1, 2), torch.ones(1, 1, 3))
