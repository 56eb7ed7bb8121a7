"""The learning of the demo network: its shape, its first weights, its steps."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamproc.emotion.network import PUBLISHED_STEM, Network, NetworkConfig, StemLayer, collate
from tools.demo.augment import augment
from tools.demo.speech import SAMPLE_RATE

LABELS = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")
"""emotion2vec+'s own, in its order; those that nobody speaks in the demo stay without training."""

SHAPE = NetworkConfig(
    embed_dim=128,
    heads=4,
    context_blocks=2,
    main_blocks=2,
    classes=len(LABELS),
    stem=tuple(layer._replace(channels=64) for layer in PUBLISHED_STEM),
)

FIRST_SCALE = 0.003
"""Of the first convolution's weights. The norm behind it works on each 0.3 ms frame and would erase how loudness moves
in time (stress, tremolo, pauses); weights this small leave the norm's eps in charge, so that the envelope passes."""

REPORT_EVERY = 50


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network learns."""

    steps: int = 1500
    batch: int = 16
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 0.02
    smoothing: float = 0.02
    crop_s: tuple[float, float] = (1.0, 3.0)
    """Length of the crops, drawn once a step."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Waveforms (1-D float32, 16 kHz) and the class of each."""

    waves: Sequence[Tensor]
    classes: Tensor


def new_network(seed: int) -> Network:
    """The demo network before it learnt anything."""
    torch.manual_seed(seed)
    network = Network(SHAPE)
    nn.init.zeros_(network.extra_tokens)
    nn.init.ones_(network.alibi_scale)
    for name, module in network.named_modules():
        if isinstance(module, StemLayer):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02 if name.startswith("blocks.") else 0.05)
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        _first(network).mul_(FIRST_SCALE)
    return network


def learn(network: Network, corpus: Corpus, recipe: Recipe, seed: int, report: Callable[[str], None]) -> None:
    """Train ``network`` in place, telling ``report`` how it goes."""
    generator = torch.Generator().manual_seed(seed)
    optimiser, schedule = _optimiser(network, recipe)
    first = [_first(network)]
    rest = [parameter for parameter in network.parameters() if parameter is not first[0]]
    begun, loss_sum = time.monotonic(), 0.0
    for step in range(1, recipe.steps + 1):
        waves, classes = _draw(corpus, recipe, generator)
        batch, frames = collate(list(augment(waves, generator)), network.config.stem)
        loss = functional.cross_entropy(network.logits(batch, frames), classes, label_smoothing=recipe.smoothing)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own is not annotated
        # Clipped apart: the first convolution's gradient is large because its weights are tiny.
        nn.utils.clip_grad_norm_(first, 1.0)
        nn.utils.clip_grad_norm_(rest, 1.0)
        optimiser.step()
        schedule.step()
        loss_sum += loss.item()
        if step % REPORT_EVERY == 0:
            mean, spent = loss_sum / REPORT_EVERY, time.monotonic() - begun
            report(f"step {step} of {recipe.steps}, loss {mean:.3f}, {spent:.0f} s")
            loss_sum = 0.0


def classify(network: Network, waves: Sequence[Tensor], batch: int = 32) -> Tensor:
    """The class of each waveform by the highest logit, on whole clips."""
    found = torch.empty(len(waves), dtype=torch.long)
    by_length = sorted(range(len(waves)), key=lambda index: len(waves[index]))
    with torch.inference_mode():
        for start in range(0, len(waves), batch):
            chosen = by_length[start : start + batch]
            logits = network.logits(*collate([waves[index] for index in chosen], network.config.stem))
            found[chosen] = logits.argmax(-1)
    return found


def _first(network: Network) -> nn.Parameter:
    layer = network.stem[0]
    if not isinstance(layer, StemLayer):
        raise TypeError(f"the stem begins with {type(layer).__name__}")
    return layer.weight


def _optimiser(network: Network, recipe: Recipe) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    first = _first(network)
    rest = [parameter for parameter in network.parameters() if parameter is not first]
    groups = [
        {"params": [p for p in rest if p.dim() > 1], "weight_decay": recipe.decay},
        {"params": [p for p in rest if p.dim() <= 1], "weight_decay": 0.0},
        # Adam's step does not shrink with the weight: at the common rate its first one would overwrite this layer.
        {"params": [first], "weight_decay": 0.0, "lr": recipe.rate * FIRST_SCALE},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98))

    def factor(step: int) -> float:
        warm = (step + 1) / recipe.warm_up
        return min(warm, 0.5 * (1 + math.cos(math.pi * min(1.0, step / recipe.steps))) + 0.01)

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _draw(corpus: Corpus, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch of random crops [B, samples], zeros after clips that are shorter, and their classes [B]."""
    low, high = (int(bound * SAMPLE_RATE) for bound in recipe.crop_s)
    samples = int(torch.randint(low, high + 1, (1,), generator=generator))
    chosen = torch.randint(len(corpus.waves), (recipe.batch,), generator=generator)
    waves = torch.zeros(recipe.batch, samples)
    for row, index in zip(waves, chosen.tolist(), strict=True):
        wave = corpus.waves[index]
        start = int(torch.randint(max(1, len(wave) - samples + 1), (1,), generator=generator))
        crop = wave[start : start + samples]
        row[: len(crop)] = crop
    return waves, corpus.classes[chosen]
