"""On a CUDA device: the numbers of the CPU, graphs and streams as they are. Skipped where there is none."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamproc.emotion.cuda.engine import CudaEngine, open_cuda
from streamproc.emotion.cuda.graphs import MOST, SEEN
from streamproc.emotion.engine import Passed
from streamproc.emotion.half import cast
from streamproc.emotion.model import softmax
from streamproc.emotion.network import Network, NetworkConfig
from streamproc.emotion.precision import Precision
from streamproc.emotion.runner import Runner

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

Wave = NDArray[np.float32]
Clip = Callable[[int, int], Wave]
Make = Callable[[NetworkConfig], Network]
LENGTHS = (400, 719, 5_000, 16_000, 47_999, 80_000, 96_000, 240_000)
PARITY = 1e-4
"""Of everything, in fp32: the bound against FunASR, which the CPU keeps with a factor of ten in hand."""
COMPANY = (1e-5, 5e-6)
"""Of embeddings and scores, in fp32: the bound of a clip in company against itself alone."""
SAME = 1e-6
"""The same shape computed twice: other waves, or those of another pass, are further away by a thousand times."""
HALF = 2e-2
"""The same in half precision, where a last bit of a sum rounds to the next number."""
BATCHES = 200


@pytest.fixture(scope="module")
def waves(clip: Clip) -> list[Wave]:
    clips = [clip(length, seed) for seed, length in enumerate(LENGTHS)]
    return [*clips, np.zeros(8_000, np.float32), np.full(12_345, 0.3, np.float32)]


@pytest.fixture(scope="module")
def small(random_network: Make, shapes: dict[str, NetworkConfig]) -> Network:
    return random_network(shapes["small"])


@pytest.fixture
def engine(random_network: Make, shapes: dict[str, NetworkConfig]) -> Iterator[CudaEngine]:
    yield open_cuda(random_network(shapes["small"]), 600)
    torch.cuda.empty_cache()


def apart(found: Passed, expected: Passed) -> tuple[float, float]:
    """The largest difference of any embedding and of any score."""
    embeddings = np.abs(found.embeddings - expected.embeddings).max()
    return float(embeddings), float(np.abs(softmax(found.logits) - softmax(expected.logits)).max())


def test_fp32_gives_the_cpus_numbers(
    engine: CudaEngine, random_network: Make, shapes: dict[str, NetworkConfig], waves: list[Wave]
) -> None:
    expected = Runner(random_network(shapes["small"])).run(waves, frames=True)
    found = engine.run(waves, frames=True)
    assert max(apart(found, expected)) < PARITY
    for own, other in zip(found.frames, expected.frames, strict=True):
        assert own.shape == other.shape
        assert np.abs(own - other).max() < PARITY


@pytest.mark.parametrize(("precision", "bound"), [(Precision.BF16, 5e-2), (Precision.FP16, 1e-2)])
def test_half_precision_differs_from_fp32_by_its_rounding(
    random_network: Make, shapes: dict[str, NetworkConfig], waves: list[Wave], precision: Precision, bound: float
) -> None:
    """And a graph of it gives what its launches give."""
    expected = Runner(random_network(shapes["small"])).run(waves[:6])
    half = open_cuda(cast(random_network(shapes["small"]), precision), 600)
    launched = half.run(waves[:6], frames=True)
    for _ in range(SEEN + 1):
        replayed = half.run(waves[:6])
    assert len(half._graphs) == 1
    assert 0 < np.abs(replayed.embeddings - expected.embeddings).max() < bound
    assert max(apart(replayed, launched)) < HALF


def test_a_clip_in_company_is_what_it_is_alone(engine: CudaEngine, waves: list[Wave]) -> None:
    together = engine.run(waves)
    for place, wave in enumerate(waves):
        embedding, score = apart(Passed(together.embeddings[[place]], together.logits[[place]], []), engine.run([wave]))
        assert embedding < COMPANY[0]
        assert score < COMPANY[1]


def test_a_graph_gives_what_the_launches_gave(engine: CudaEngine, clip: Clip) -> None:
    batches = [[clip(30_000 - turn, turn), clip(20_000 + turn, 100 + turn)] for turn in range(SEEN + 3)]
    replayed = [engine.run(batch) for batch in batches]
    assert len(engine._graphs) == 1
    for batch, found in zip(batches, replayed, strict=True):
        assert max(apart(found, engine.run(batch, frames=True))) < SAME


def test_graphs_of_all_sizes_share_their_memory_and_spoil_nothing(engine: CudaEngine, clip: Clip) -> None:
    """Recorded in one order, replayed in another, with launched passes in between."""
    batches = [
        [clip(length, seed) for seed in range(items)] for items, length in ((1, 240_000), (12, 40_000), (3, 900))
    ]
    for batch in batches:
        for _ in range(SEEN):
            engine.run(batch)
    assert len(engine._graphs) == len(batches)
    expected = [engine.run(batch, frames=True) for batch in batches]
    for place in (2, 0, 1, 1, 0, 2, 0):
        assert max(apart(engine.run(batches[place]), expected[place])) < SAME


def test_a_pass_waits_for_the_device_only_when_it_is_taken(engine: CudaEngine, waves: list[Wave]) -> None:
    """Torch raises for every call of its own that would wait; neither launched passes nor replays may make one."""
    for _ in range(SEEN):
        expected = engine.run(waves[:3])
        engine.run(waves * 4)
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="synchronizing"):
            torch.ones(1, device="cuda").item()
        replayed, launched = engine.submit(waves[:3]), engine.submit(waves * 4)
        found = replayed.take()
        launched.take()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert max(apart(found, expected)) < SAME


def test_passes_under_way_do_not_read_each_others_waves(engine: CudaEngine, clip: Clip) -> None:
    batches = [[clip(80_000, 10 * turn + seed) for seed in range(8)] for turn in range(6)]
    alone = [engine.run(batch) for batch in batches]
    first, second = engine.submit(batches[0]), engine.submit(batches[1])
    for turn in range(2, len(batches)):
        third = engine.submit(batches[turn])
        assert max(apart(first.take(), alone[turn - 2])) < SAME
        first, second = second, third
    assert max(apart(first.take(), alone[-2])) < SAME
    assert max(apart(second.take(), alone[-1])) < SAME


def test_memory_is_flat(engine: CudaEngine, clip: Clip) -> None:
    random = np.random.default_rng(1)
    long = clip(240_000, 1)

    def held() -> int:
        """What the engine keeps beside its graphs, in bytes."""
        engine.run([long])
        return torch.cuda.memory_allocated()

    def batch() -> Sequence[Wave]:
        return [long[: random.integers(400, len(long))] for _ in range(random.integers(1, 20))]

    engine.run([long] * 20)  # the largest of them: staging has grown to its size
    before = held()
    for _ in range(BATCHES):
        engine.run(batch())
        assert len(engine._graphs) <= MOST
    assert len(engine._graphs) > 0
    engine._graphs.give_up()
    assert held() <= before
