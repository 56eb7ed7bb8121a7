"""Models of the published shapes with random weights: speed does not know the difference, and neither does equality."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from streamproc.bench.waves import Wave, voice
from streamproc.emotion import checkpoint
from streamproc.emotion.layout import WEIGHTS
from streamproc.emotion.network import Network, NetworkConfig, collate

SHAPES: Mapping[str, NetworkConfig] = {
    "plus_large": NetworkConfig(1024, 16, 4, 8, 9),
    "plus_base": NetworkConfig(768, 12, 4, 8, 9),
}
TOKENS = (
    *("生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral"),
    *("其他/other", "难过/sad", "吃惊/surprised", "<unk>"),
)
SPREAD = 0.1
"""How far norms, biases, tokens and scales are moved off the values that training starts from."""
CALIBRATION = (4_000, 7_000, 11_000, 16_000, 23_000, 32_000, 45_000, 64_000)
"""Samples of the clips that centre the head."""


@contextmanager
def random_model(name: str, config: NetworkConfig, seed: int) -> Iterator[Path]:
    """A model directory of that name as FunASR publishes them, gone after the block."""
    with TemporaryDirectory(prefix="random-model-") as folder:
        path = Path(folder) / name
        network = Network(config).eval()
        randomise(network, seed, [voice(samples, np.random.default_rng((seed, samples))) for samples in CALIBRATION])
        checkpoint.save(path, network, TOKENS)
        del network
        yield path


def add_training_state(directory: Path) -> None:
    """Make a saved model's file what trainers publish: three times as large, two thirds of it the optimizer's."""
    path = directory / WEIGHTS
    body: dict[str, Any] = torch.load(path, weights_only=True)
    moments = {i: {"exp_avg": t * SPREAD, "exp_avg_sq": t * t} for i, t in enumerate(body["model"].values())}
    torch.save(body | {"last_optimizer_state": {"state": moments}}, path)


@torch.no_grad()
def randomise(network: Network, seed: int, waves: Sequence[Wave]) -> None:
    """Random weights in which an error cannot hide.

    Nothing stands at the value that training starts from, where a forgotten norm or scale would change nothing; and the
    head is centred and scaled over ``waves``, since a saturated softmax gives 1 and 0 for right and wrong alike.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        nn.init.normal_(parameter, 0, SPREAD, generator)
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1)
        elif name.startswith("stem") and name.endswith("weight"):
            nn.init.kaiming_normal_(parameter, generator=generator)
        elif name == "alibi_scale":
            parameter.abs_().add_(0.5)
        elif parameter.dim() > 1 and name.startswith("blocks"):
            nn.init.normal_(parameter, 0, parameter.shape[1] ** -0.5, generator)
    stem = network.config.stem
    passes = [network(*collate([torch.from_numpy(wave)], stem)) for wave in waves]
    embeddings, logits = (torch.cat(parts) for parts in zip(*passes, strict=True))
    network.head.weight.div_(logits.std(0).mean())
    network.head.bias.copy_(-(embeddings.mean(0) @ network.head.weight.T))
