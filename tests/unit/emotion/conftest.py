"""Random checkpoints of several shapes, and FunASR as the judge of them."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamproc.bench.random import TOKENS, randomise
from streamproc.emotion import checkpoint
from streamproc.emotion.network import PUBLISHED_STEM, Network, NetworkConfig

Wave = NDArray[np.float32]
Reference = Callable[[Path], Any]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Other work shares the cores; waiting at barriers for a descheduled thread costs more than it gives."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokens() -> tuple[str, ...]:
    return TOKENS


@pytest.fixture(scope="session")
def reference() -> Iterator[Reference]:
    """FunASR's own AutoModel for a directory; its import meddles with logging and warns on its own account."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from funasr import AutoModel

    def load(directory: Path) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # ncpu: FunASR sets torch's thread count when it loads.
            return AutoModel(
                model=str(directory), device="cpu", ncpu=1, disable_update=True, disable_pbar=True, log_level="ERROR"
            )

    yield load
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def clip() -> Callable[[int, int], Wave]:
    """(samples, seed) -> noise and harmonics under a syllabic envelope."""

    def make(samples: int, seed: int) -> Wave:
        random = np.random.default_rng(seed)
        t = np.arange(samples) / 16_000
        pitch = random.uniform(90, 290)
        voice = sum(random.uniform() / k * np.sin(2 * np.pi * k * pitch * t) for k in range(1, 9))
        envelope = (0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(2, 5) * t + random.uniform(0, 6))) ** 2
        noise = random.normal(size=samples)
        return (0.2 * envelope * (voice + 0.3 * noise) + 0.003 * random.normal(size=samples)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def random_network(clip: Callable[[int, int], Wave]) -> Callable[[NetworkConfig], Network]:
    """A network in which an error cannot hide: nothing stands at its initial value, the head is centred."""

    def make(config: NetworkConfig) -> Network:
        network = Network(config).eval().requires_grad_(requires_grad=False)
        randomise(network, config.embed_dim, [clip(4000 + 900 * i, i) for i in range(6)])
        return network

    return make


@pytest.fixture(scope="session")
def shapes() -> dict[str, NetworkConfig]:
    """``small``: the published stem; ``thin``: the demo's shape; ``tiny``: as little as there can be."""

    def stem(channels: int) -> Any:
        return tuple(layer._replace(channels=channels) for layer in PUBLISHED_STEM)

    return {
        "small": NetworkConfig(256, 4, 4, 4, 9),
        "thin": NetworkConfig(128, 4, 2, 2, 9, stem=stem(64)),
        "tiny": NetworkConfig(32, 2, 1, 1, 9, stem=stem(8)),
    }


@pytest.fixture(scope="session")
def directories(
    tmp_path_factory: pytest.TempPathFactory,
    random_network: Callable[[NetworkConfig], Network],
    shapes: dict[str, NetworkConfig],
) -> Callable[[str], Path]:
    """A saved checkpoint by the name of its shape; read only."""
    saved: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in saved:
            saved[name] = tmp_path_factory.mktemp(name)
            checkpoint.save(saved[name], random_network(shapes[name]), TOKENS)
        return saved[name]

    return get


@pytest.fixture(scope="session")
def judged(reference: Reference) -> Callable[[Path, Sequence[Wave]], list[tuple[Wave, Wave]]]:
    """(directory, waves) -> FunASR's frames [frames, dim] and scores of each wave, run alone."""

    def judge(directory: Path, waves: Sequence[Wave]) -> list[tuple[Wave, Wave]]:
        model = reference(directory)
        answers = [model.generate(input=[wave], granularity="frame")[0] for wave in waves]
        return [(answer["feats"], np.array(answer["scores"], np.float32)) for answer in answers]

    return judge
