"""Precision: how many bits the network's products have. An explicit setting, and part of the fingerprint. No torch."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from streamproc.errors import UsageError


class Precision(StrEnum):
    """Of the products' factors. Their sums, norms and softmax are fp32 in all of them.

    What a product of bf16 or fp16 gives is rounded to it once (``half`` says where fp32 takes over again).
    """

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


FASTEST: Final = "fastest"
MAPPED: Final = "mapped"
"""How weights lie in memory: laid out by each process for itself, or in pages of the file, which processes share."""

OFFERED: Mapping[str, tuple[Precision, ...]] = MappingProxyType(
    {
        "cpu": (Precision.FP32, Precision.BF16, Precision.INT8),
        "cuda": (Precision.FP32, Precision.BF16, Precision.FP16),
    }
)
"""By kind of device. CPUs have no fast products in fp16; int8 is written for CPUs alone."""


def stated(precision: Precision, device: str) -> str:
    """What an identity says of it: fp32 is one on every kind of device, within its bound; others round other layers."""
    return precision.value if precision is Precision.FP32 else f"{precision}-{device}"


def check(name: str, device: str) -> Precision:
    """Raise UsageError for a precision that there is not, or not on this kind of device (cpu or cuda)."""
    offered = OFFERED[device]
    if name in offered:
        return Precision(name)
    choice = ", ".join(offered)
    if name not in list(Precision):
        raise UsageError(f"precision {name!r} is not known: set model.precision to one of {choice}")
    others = " and ".join(other for other, has in OFFERED.items() if name in has)
    raise UsageError(
        f"precision {name} runs on {others} only, and the device is {device}: set model.precision to one of {choice}, "
        f"or model.device to {others}; it has to be the same for the whole group"
    )


def check_weights(weights: str, precision: Precision, device: str) -> None:
    """Raise UsageError for weights that are to stay in their file where they cannot, and for what there is not."""
    if weights not in {FASTEST, MAPPED}:
        raise UsageError(f"weights {weights!r} are not known: set model.weights to {FASTEST} or {MAPPED}")
    if weights == MAPPED and (precision, device) != (Precision.FP32, "cpu"):
        raise UsageError(
            f"model.weights is {MAPPED}, and {precision} on {device} needs weights of its own: set model.weights to "
            f"{FASTEST}, or compute in fp32 on the CPU"
        )
