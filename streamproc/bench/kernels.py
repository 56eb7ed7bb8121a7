"""Kernels: what a device ran, when and for how long, summed up by kind. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

KINDS = (
    ("attention", r"fmha|attention|flash|softmax"),
    ("copies", r"memcpy|memset|copy|catarray"),
    ("norms", r"layer_?norm|rowwisemoments"),
    ("convolutions", r"conv|wgrad|dgrad|nchw|nhwc"),
    ("products", r"gemm|gemv|nvjet|cutlass|cublas|xmma|splitk"),
    ("sums", r"reduce|scan|cumsum"),
    ("elementwise", r"elementwise|gelu|index|arange|fill|where|triton_poi"),
)
"""By the names that torch, cuBLAS, cuDNN and CUTLASS give their kernels; the first that matches."""
OTHER = "other"


class Launch(NamedTuple):
    """One kernel or transfer on the device."""

    name: str
    start_us: float
    end_us: float


def kind(name: str) -> str:
    """Which of ``KINDS`` a kernel is, or ``OTHER``."""
    return next((kind for kind, pattern in KINDS if re.search(pattern, name, re.IGNORECASE)), OTHER)


def shares(launches: Sequence[Launch]) -> Mapping[str, float]:
    """The share of each kind in all the time that kernels took, the largest first."""
    times: dict[str, float] = {}
    for launch in launches:
        found = kind(launch.name)
        times[found] = times.get(found, 0.0) + launch.end_us - launch.start_us
    whole = sum(times.values())
    return {name: times[name] / whole for name in sorted(times, key=times.__getitem__, reverse=True)}


def busy(launches: Sequence[Launch]) -> float:
    """The share of the time from the first start to the last end in which anything ran. Raises ValueError for none."""
    ordered = sorted(launches, key=lambda launch: launch.start_us)
    if not ordered:
        raise ValueError("nothing ran on the device")
    begin = reached = ordered[0].start_us
    ran = 0.0
    for _, start, end in ordered:
        ran += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return ran / (reached - begin)
