"""Choice: which of several ways to equal numbers this machine runs fastest, by a short timing."""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamproc.emotion.attention import together
from streamproc.emotion.linears import FP32, Kind, plain
from streamproc.emotion.network import Attention
from streamproc.emotion.onednn import ROWS as TOKENS
from streamproc.emotion.onednn import head_by_head

M = TypeVar("M", bound=nn.Module)
W = TypeVar("W", bound=Hashable)

TRIALS = 3
MISSING = (AttributeError, NotImplementedError, RuntimeError)
"""What an operation raises that this build of torch, or this CPU, does not have."""
ROWS = 128
"""Tokens of a clip of 2.5 s: longer ones tell the same, and each start waits for the trial."""
EXACT, ROUNDED = 1e-4, 0.05
"""How far off a layer in fp32, or in another precision, may be: a share of the plain one's largest number. One with
permuted weights is off by more than 1."""
GAIN = 0.9
"""A tie goes to the first of a table, which knows why."""
HEADS = 4
"""Of attention a few heads are timed: all do the same."""
SEED = 1
ATTENTIONS: Mapping[str, Attention] = {"heads together": together, "head by head": head_by_head}
"""The second asks oneDNN for its products, which are far faster than those of torch's own library on some CPUs."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What was timed, and what came of it."""

    of: str
    """The product: its layers and its size."""
    chosen: str
    best_ms: Mapping[str, float]
    """The least of each way that this machine has; empty where there was nothing to choose from."""

    def __str__(self) -> str:
        times = ", ".join(f"{name} {best_ms:.2f} ms" for name, best_ms in self.best_ms.items())
        return f"{self.of}: {self.chosen}" + (f", of {times}" if times else "")


@dataclass(frozen=True, slots=True)
class Chosen(Generic[W]):
    """A way, and why it is taken."""

    way: W
    timing: Timing


@torch.inference_mode()
def choose(tables: Mapping[str, Mapping[str, Kind]], linear: nn.Linear) -> list[Chosen[Kind]]:
    """Time all kinds of ``linear`` on this machine, turn by turn, and take one of each table, which is named.

    Kinds that this build of torch lacks, or whose numbers are not those of ``linear``, are left out. Raises ValueError
    where none is left of a table.
    """
    size = f"{ROWS} rows by [{linear.in_features}, {linear.out_features}]"
    if all([*table.values()] == [plain] for table in tables.values()):
        return [Chosen(plain, Timing(f"linear layers {where} ({size})", "plain", {})) for where in tables]
    rows, layers = noise(ROWS, linear.in_features), dict[Kind, nn.Module]()
    expected = linear(rows)
    for kind in dict.fromkeys(kind for table in tables.values() for kind in table.values()):
        layer = made(kind, linear, rows, expected, EXACT if kind in FP32.values() else ROUNDED)
        if layer is not None:
            layers[kind] = layer
    best = _best({kind: partial(layer, rows) for kind, layer in layers.items()})
    return [_preferred(f"linear layers {where} ({size})", table, best) for where, table in tables.items()]


@torch.inference_mode()
def choose_attention(dim: int) -> Chosen[Attention]:
    """The same for attention with heads of so many channels; torch's own where there is no other."""
    query, key, value = noise(3, 1, HEADS, TOKENS, dim).unbind(0)
    bias = noise(1, HEADS, TOKENS, TOKENS)
    expected = functional.scaled_dot_product_attention(query, key, value, bias)
    runs = {
        attend: run
        for attend in ATTENTIONS.values()
        if _is_right(run := partial(attend, query, key, value, bias), expected)
    }
    what = f"attention ({HEADS} heads of {dim}, {TOKENS} tokens)"
    if not runs:
        return Chosen(functional.scaled_dot_product_attention, Timing(what, "torch's own", {}))
    return _preferred(what, ATTENTIONS, _best(runs))


def made(
    kind: Callable[[M], nn.Module], usual: M, sample: Tensor, expected: Tensor, within: float = EXACT
) -> nn.Module | None:
    """The layer after a first run; None where it cannot be had, or computes something else than ``usual`` did."""
    try:
        layer = kind(usual)
        found = layer(sample)
    except MISSING:
        return None
    return layer if _alike(found, expected, within) else None


def _alike(found: Tensor, expected: Tensor, within: float = EXACT) -> bool:
    """Whether no number is further off than that share of the largest. What is not finite is not alike."""
    return bool((found - expected).abs().max() <= within * expected.abs().max())


def _is_right(run: Callable[[], Tensor], expected: Tensor) -> bool:
    try:
        return _alike(run(), expected)
    except MISSING:
        return False


def noise(*shape: int) -> Tensor:
    """Normal numbers, always the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(SEED))


def _best(runs: Mapping[W, Callable[[], object]]) -> Mapping[W, float]:
    """The least seconds of each, turn by turn."""
    turns = [{way: _seconds(run) for way, run in runs.items()} for _ in range(TRIALS)]
    return {way: min(turn[way] for turn in turns) for way in runs}


def _preferred(what: str, table: Mapping[str, W], best: Mapping[W, float]) -> Chosen[W]:
    """The first of a table that is there, unless another is a tenth faster. Raises ValueError for none."""
    there = {name: best[way] for name, way in table.items() if way in best}
    if not there:
        raise ValueError(f"this build of torch has none of the {what} {', '.join(table)}")
    first, fastest = next(iter(there)), min(there, key=there.__getitem__)
    chosen = fastest if there[fastest] < GAIN * there[first] else first
    best_ms = {name: 1000 * seconds for name, seconds in there.items()}
    return Chosen(table[chosen], Timing(what, chosen, best_ms))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
