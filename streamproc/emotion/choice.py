"""Choice: which kind of linear layer this machine runs fastest, by a short timing."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from streamproc.emotion.linears import Kind
from streamproc.telemetry.log import get_log

M = TypeVar("M", bound=nn.Module)

log = get_log(__name__)

TRIALS = 5
ROWS = 64
"""Tokens of a clip of 1 s: kinds differ by much or not at all, and each start waits for the trial."""
GAIN = 0.9
"""Another kind is another copy of the weights in memory, so a tie goes to the first one."""


@torch.inference_mode()
def choose(kinds: Mapping[str, Kind], linear: nn.Linear) -> Kind:
    """Time all kinds of ``linear`` on this machine, turn by turn, and compare their best.

    Kinds that this build of torch lacks are left out. Raises ValueError where none is left.
    """
    rows = torch.ones(ROWS, linear.in_features)
    layers = {name: layer for name, kind in kinds.items() if (layer := made(kind, linear, rows)) is not None}
    if not layers:
        raise ValueError(f"this build of torch has none of the linear layers {', '.join(kinds)}")
    first = next(iter(layers))
    turns = [{name: _seconds(layer, rows) for name, layer in layers.items()} for _ in range(TRIALS)]
    best = {name: min(turn[name] for turn in turns) for name in layers}
    fastest = min(best, key=best.__getitem__)
    chosen = fastest if best[fastest] < GAIN * best[first] else first
    times = ", ".join(f"{name} {1000 * seconds:.2f} ms" for name, seconds in best.items())
    log.info("linear layers are chosen", detail=f"{chosen}, of {times}")
    return kinds[chosen]


def made(kind: Callable[[M], nn.Module], usual: M, sample: Tensor) -> nn.Module | None:
    """The layer after a first run; None where it cannot be had."""
    try:
        layer = kind(usual)
        layer(sample)
    except (AttributeError, NotImplementedError, RuntimeError):
        return None
    return layer


def _seconds(layer: nn.Module, rows: Tensor) -> float:
    start = time.perf_counter()
    layer(rows)
    return time.perf_counter() - start
