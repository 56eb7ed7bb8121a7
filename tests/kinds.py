"""Which kinds of product this torch and this CPU have. A test of another is skipped, as the engine goes without it."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from streamproc.emotion.choice import EXACT, MISSING, ROUNDED, made, noise
from streamproc.emotion.linears import FP32, Kind
from streamproc.emotion.network import Attention
from streamproc.emotion.onednn import FEW, PackedConvolution


def promised() -> bool:
    """Whether this machine has all kinds, by what torch says of itself: then none may be missing, or skipped."""
    backends: Any = torch.backends  # without types
    libraries = backends.mkldnn.is_available() and backends.mkl.is_available()
    return libraries and torch.backends.cpu.get_cpu_capability() in {"AVX2", "AVX512"}


@cache
def is_here(kind: Kind) -> bool:
    """By making one, as a start does."""
    linear, rows = nn.Linear(64, 64), noise(8, 64)
    with torch.inference_mode():
        return made(kind, linear, rows, linear(rows), EXACT if kind in FP32.values() else ROUNDED) is not None


def here(table: Mapping[str, Kind]) -> Mapping[str, Kind]:
    """Those of a table."""
    return {name: kind for name, kind in table.items() if is_here(kind)}


def needs(*kinds: Kind) -> pytest.MarkDecorator:
    """Skip where one of them is missing."""
    return pytest.mark.skipif(not all(map(is_here, kinds)), reason=f"no {_names(kinds)} here")


def each(kinds: Iterable[Kind]) -> list[object]:
    """Parameters, of which those that are missing are skipped."""
    return [pytest.param(kind, marks=needs(kind), id=_names([kind])) for kind in kinds]


def attends_here(attention: Attention) -> bool:
    """Whether a way of attention runs on enough tokens for its own products."""
    query = noise(1, 1, FEW, 8)
    try:
        attention(query, query, query, noise(1, 1, FEW, FEW))
    except MISSING:
        return False
    return True


def convolves_here() -> bool:
    """Whether convolutions can be packed."""
    convolution = nn.Conv1d(32, 32, 19, padding=9, groups=4)
    rows = noise(1, 30, 32).transpose(1, 2)
    with torch.inference_mode():
        return made(PackedConvolution, convolution, rows, convolution(rows)) is not None


def _names(kinds: Iterable[Kind]) -> str:
    return ", ".join(getattr(kind, "__name__", repr(kind)) for kind in kinds)
