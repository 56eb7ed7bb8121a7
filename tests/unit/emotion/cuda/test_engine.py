"""The engine on the host: what it computes, and what it does when memory runs out or the device fails."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamproc.emotion.cuda.bucket import bucket
from streamproc.emotion.cuda.engine import CudaEngine
from streamproc.emotion.cuda.graphs import SEEN
from streamproc.emotion.engine import Passed
from streamproc.emotion.half import cast
from streamproc.emotion.model import softmax
from streamproc.emotion.network import Network, NetworkConfig
from streamproc.emotion.precision import Precision
from streamproc.emotion.runner import Runner
from streamproc.errors import FatalError
from tests.unit.emotion.cuda.stand_in import PlainBerth, RunsAgain, on_host

Wave = NDArray[np.float32]
Clip = Callable[[int, int], Wave]
FRAMES, SCORES = 1e-5, 5e-6
"""A clip in company against itself alone, as for every engine."""
LENGTHS = (400, 719, 5_000, 5_003, 16_000, 3_000, 24_000)


@pytest.fixture
def waves(clip: Clip) -> list[Wave]:
    return [*(clip(length, seed) for seed, length in enumerate(LENGTHS)), np.zeros(8_000, np.float32)]


def assert_equal(found: Passed, expected: Passed, *, frames: bool = False) -> None:
    np.testing.assert_allclose(found.embeddings, expected.embeddings, rtol=0, atol=FRAMES)
    np.testing.assert_allclose(softmax(found.logits), softmax(expected.logits), rtol=0, atol=SCORES)
    assert len(found.frames) == len(expected.frames) == (len(expected.logits) if frames else 0)
    for own, other in zip(found.frames, expected.frames, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=FRAMES)


@pytest.mark.parametrize("frames", [False, True])
def test_its_numbers_are_the_cpu_engines(
    engine: CudaEngine, reference: Runner, waves: list[Wave], *, frames: bool
) -> None:
    assert_equal(engine.run(waves, frames=frames), reference.run(waves, frames=frames), frames=frames)


@pytest.mark.parametrize(("precision", "bound"), [(Precision.BF16, 5e-2), (Precision.FP16, 1e-2)])
def test_half_precision_differs_from_fp32_by_its_rounding(
    random_network: Callable[[NetworkConfig], Network],
    shapes: dict[str, NetworkConfig],
    waves: list[Wave],
    precision: Precision,
    bound: float,
) -> None:
    expected = Runner(random_network(shapes["tiny"])).run(waves, frames=True)
    engine = on_host(cast(random_network(shapes["tiny"]), precision), RunsAgain())
    for _ in range(SEEN + 1):
        found = engine.run(waves)
    assert found.embeddings.dtype == found.logits.dtype == np.float32
    assert 0 < np.abs(found.embeddings - expected.embeddings).max() < bound
    with_frames = engine.run(waves, frames=True)
    assert_equal(with_frames._replace(frames=[]), found)
    for own, other in zip(with_frames.frames, expected.frames, strict=True):
        assert own.shape == other.shape
        assert own.dtype == np.float32


def test_a_clip_in_company_is_what_it_is_alone(engine: CudaEngine, waves: list[Wave]) -> None:
    together = engine.run(waves, frames=True)
    for place, wave in enumerate(waves):
        alone = engine.run([wave], frames=True)
        of_it = Passed(together.embeddings[[place]], together.logits[[place]], [together.frames[place]])
        assert_equal(of_it, alone, frames=True)


def test_a_replayed_pass_gives_the_numbers_of_its_own_waves(
    engine: CudaEngine, capturer: RunsAgain, clip: Clip
) -> None:
    """Batches of one shape, each with other clips, and with fewer samples than the one before."""
    batches = [[clip(16_000 - 40 * turn, 10 * turn), clip(400 + turn, turn)] for turn in range(2 * SEEN)]
    found = [engine.run(batch) for batch in batches]
    assert capturer.replayed == SEEN + 1
    assert len({float(each.logits[0, 0]) for each in found}) == len(batches)
    for batch, of_it in zip(batches, found, strict=True):
        assert_equal(of_it, engine.run(batch, frames=True)._replace(frames=[]))


def test_two_passes_may_be_under_way_and_be_taken_in_any_order(engine: CudaEngine, waves: list[Wave]) -> None:
    alone = [engine.run([wave]) for wave in waves[:3]]
    first, second = engine.submit(waves[:1]), engine.submit(waves[1:2])
    with pytest.raises(FatalError, match="under way"):
        engine.submit(waves[2:3])
    assert second.ready()
    assert_equal(second.take(), alone[1])
    third = engine.submit(waves[2:3])
    assert_equal(first.take(), alone[0])
    assert_equal(third.take(), alone[2])


def test_no_more_than_the_clips_of_a_bucket_come_back(engine: CudaEngine, clip: Clip) -> None:
    assert bucket(33, 1, 10).items > 33
    passed = engine.run([clip(400, seed) for seed in range(33)])
    assert len(passed.logits) == len(passed.embeddings) == 33


def recorded(engine: CudaEngine, waves: list[Wave]) -> Passed:
    """Their numbers, after which their shape is replayed."""
    for _ in range(SEEN):
        passed = engine.run(waves)
    return passed


def short_of_memory(engine: CudaEngine, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    left = iter(range(times))
    right = engine._network.encode

    def encode(*args: torch.Tensor) -> torch.Tensor:
        if next(left, None) is not None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return right(*args)

    monkeypatch.setattr(engine._network, "encode", encode)


def test_what_does_not_fit_is_tried_again_without_the_graphs(
    engine: CudaEngine, reference: Runner, capturer: RunsAgain, waves: list[Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = recorded(engine, waves[:2])
    short_of_memory(engine, monkeypatch, 1)
    assert_equal(engine.run(waves, frames=False)._replace(frames=[]), reference.run(waves))
    assert capturer.calls == ["finish", "release"]
    assert_equal(engine.run(waves[:2]), expected)


def test_what_does_not_fit_even_then_is_the_callers_to_halve_and_the_engine_goes_on(
    engine: CudaEngine, waves: list[Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = recorded(engine, waves[:2])
    short_of_memory(engine, monkeypatch, 2)
    with pytest.raises(MemoryError):
        engine.run(waves)
    assert_equal(engine.run(waves[:2]), expected)
    assert_equal(engine.run(waves[:2]), expected)


@pytest.mark.parametrize("where", ["send", "take"])
def test_a_device_that_fails_ends_the_process(
    engine: CudaEngine, waves: list[Wave], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(PlainBerth, where, fail)
    with pytest.raises(FatalError, match="illegal memory access"):
        engine.run(waves)


def test_no_waveform_is_refused_before_anything_is_launched(engine: CudaEngine) -> None:
    with pytest.raises(ValueError, match=r"."):
        engine.run([])


def test_a_pass_that_is_lost_gives_its_place_back(
    engine: CudaEngine, waves: list[Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, right = engine.run(waves), PlainBerth.take

    def lost(berth: PlainBerth) -> Wave:
        right(berth)
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(PlainBerth, "take", lost)
        for _ in range(3):  # more than there are places
            with pytest.raises(MemoryError):
                engine.run(waves)
    assert_equal(engine.run(waves), expected)
