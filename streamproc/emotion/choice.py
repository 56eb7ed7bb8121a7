"""Choice: which of several ways to equal numbers this machine runs fastest, by a short timing."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from streamproc.emotion.attention import together
from streamproc.emotion.linears import Kind
from streamproc.emotion.network import Attention
from streamproc.emotion.onednn import ROWS as TOKENS
from streamproc.emotion.onednn import head_by_head
from streamproc.telemetry.log import get_log

M = TypeVar("M", bound=nn.Module)

log = get_log(__name__)

TRIALS = 3
MISSING = (AttributeError, NotImplementedError, RuntimeError)
"""What an operation raises that this build of torch, or this CPU, does not have."""
ROWS = 128
"""Tokens of a clip of 2.5 s: longer ones tell the same, and each start waits for the trial."""
ALIKE = 0.01
"""Kinds round differently, by less than this share of the largest number. One further off computes something else."""
GAIN = 0.9
"""Another kind is another copy of the weights in memory, so a tie goes to the first one."""
HEADS = 4
"""Of attention a few heads are timed: all do the same."""
ATTENTIONS: Mapping[str, Attention] = {"heads together": together, "head by head": head_by_head}
"""The second asks oneDNN for its products, which are far faster than those of torch's own library on some CPUs."""


@torch.inference_mode()
def choose(kinds: Mapping[str, Kind], linear: nn.Linear) -> Kind:
    """Time all kinds of ``linear`` on this machine, turn by turn, and compare their best.

    Kinds that this build of torch lacks, or whose numbers are not the first one's, are left out. Raises ValueError
    where none is left.
    """
    rows = torch.linspace(-1, 1, ROWS * linear.in_features).view(ROWS, linear.in_features)
    layers = {name: layer for name, kind in kinds.items() if (layer := made(kind, linear, rows)) is not None}
    if not layers:
        raise ValueError(f"this build of torch has none of the linear layers {', '.join(kinds)}")
    first = next(iter(layers.values()))(rows)
    layers = {name: layer for name, layer in layers.items() if _alike(layer(rows), first)}
    return kinds[_fastest("linear layers", {name: partial(layer, rows) for name, layer in layers.items()})]


@torch.inference_mode()
def choose_attention(dim: int) -> Attention:
    """The same for attention with heads of so many channels."""
    query, key, value = torch.linspace(-1, 1, 3 * HEADS * TOKENS * dim).view(3, 1, HEADS, TOKENS, dim).unbind(0)
    bias = query.new_zeros(1, HEADS, TOKENS, TOKENS)
    runs = {name: partial(attend, query, key, value, bias) for name, attend in ATTENTIONS.items()}
    return ATTENTIONS[_fastest("attention", {name: run for name, run in runs.items() if _is_here(run)})]


def _fastest(what: str, runs: Mapping[str, Callable[[], object]]) -> str:
    """All that have run once, turn by turn: the first one, unless the best of another is a tenth faster."""
    turns = [{name: _seconds(run) for name, run in runs.items()} for _ in range(TRIALS)]
    best = {name: min(turn[name] for turn in turns) for name in runs}
    first, fastest = next(iter(best)), min(best, key=best.__getitem__)
    chosen = fastest if best[fastest] < GAIN * best[first] else first
    times = ", ".join(f"{name} {1000 * seconds:.2f} ms" for name, seconds in best.items())
    log.info("the fastest of equals is chosen", detail=f"{what}: {chosen}, of {times}")
    return chosen


def made(kind: Callable[[M], nn.Module], usual: M, sample: Tensor) -> nn.Module | None:
    """The layer after a first run; None where it cannot be had."""
    try:
        layer = kind(usual)
        layer(sample)
    except MISSING:
        return None
    return layer


def _alike(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() <= ALIKE * expected.abs().max())


def _is_here(run: Callable[[], object]) -> bool:
    try:
        run()
    except MISSING:
        return False
    return True


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
