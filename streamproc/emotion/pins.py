"""Published models, and what each of their files has to be: one table. docs/models.md says how each value is known.

A hash is what we accept, not what a hub happens to have: a file that differs is refused, so a wrong entry here can keep
a model out and can never let a changed one in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from streamproc.emotion.layout import CONFIG, CONFIGURATION, TOKENS, WEIGHTS

NEEDED = (CONFIG, CONFIGURATION, TOKENS, WEIGHTS)
"""Small ones first: a hub that has something else is found out before the big one is fetched."""


class Hub(StrEnum):
    """Who publishes them."""

    HUGGINGFACE = "huggingface"
    MODELSCOPE = "modelscope"


@dataclass(frozen=True, slots=True)
class Pin:
    """One file. An unknown size is taken from the hub, an unknown hash is never."""

    sha256: str
    size: int | None = None
    revision: str | None = None
    """Where it differs from the one of its model."""


@dataclass(frozen=True, slots=True)
class Release:
    """A model on one hub."""

    repo: str
    revision: str | None = None
    files: Mapping[str, Pin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Published:
    """A model under its published name, which its licence asks to be kept."""

    title: str
    releases: Mapping[Hub, Release]


LICENCE = (
    "FunASR Model Open Source License Agreement 1.1 (the model card: `license: other`, `model-license`; "
    "ModelScope's card of plus_large says Apache License 2.0): use, copy, change and share with attribution and under "
    "the model's name. https://github.com/modelscope/FunASR/blob/main/MODEL_LICENSE"
)
ATTRIBUTION = (
    "{title} by the emotion2vec authors (Ma et al., emotion2vec, arXiv:2312.15185; github.com/ddlBoJack/emotion2vec), "
    "published with FunASR"
)

_CONFIGURATION = Pin("8b6a745213025c7d4565f9f074cfef1b5cd5ef76e38e2a8f7f8a3db271e735b2", 343)
_NINE_LABELS = "866121e470057b847d7a50e9923509141fb2924392f53385a186482a1ec0fb7f"
"""Of the tokens.txt with nine labels; the five-label one of the first upload has dd99b40d..., 90 bytes."""
_LARGE = MappingProxyType(
    {
        CONFIG: Pin("f4fa0eb82cc78bfebb43c56d68791afb01788085a18897d20999af7bc45d51d3", 5_552),
        CONFIGURATION: _CONFIGURATION,
        TOKENS: Pin(_NINE_LABELS, 119),
        WEIGHTS: Pin("be501a01f26fcdc7663a062dff86af839afbaef7c4de32f5e42d7e1ad2784da4", 1_945_790_254),
    }
)
_BASE = MappingProxyType(
    {
        CONFIG: Pin("50674ec187406b4f1208925594ceaf1f28f16a22333b5f2ac5b3d0cbffdd670e"),
        CONFIGURATION: _CONFIGURATION,
        TOKENS: Pin(_NINE_LABELS, 119),
        WEIGHTS: Pin("60710b5aae1dbe69bdac8920028fb05882d4314fd09031922b4b61ee9e7aadbd"),
    }
)
# ModelScope's tag v2.0.5 still has the five labels; this commit has the nine.
_LARGE_MODELSCOPE = _LARGE | {TOKENS: Pin(_NINE_LABELS, 119, "767b2e00f04e0b75b5408c73be0d666328808af5")}

PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "emotion2vec_plus_large": Published(
            "emotion2vec+ large",
            {
                Hub.HUGGINGFACE: Release(
                    "emotion2vec/emotion2vec_plus_large", "6c303ba987b86b93193de93e34bb2b077a6bedc4", _LARGE
                ),
                Hub.MODELSCOPE: Release("iic/emotion2vec_plus_large", "v2.0.5", _LARGE_MODELSCOPE),
            },
        ),
        "emotion2vec_plus_base": Published(
            "emotion2vec+ base",
            {
                Hub.HUGGINGFACE: Release(
                    "emotion2vec/emotion2vec_plus_base", "b318240bfe67db81a8c572ecb37ce9c3759b81c9", _BASE
                ),
                # No tag of it is known that has the nine labels; the hashes hold whatever the branch moves to.
                Hub.MODELSCOPE: Release("iic/emotion2vec_plus_base", "master", _BASE),
            },
        ),
        "emotion2vec_plus_seed": Published(
            "emotion2vec+ seed",
            {
                Hub.HUGGINGFACE: Release("emotion2vec/emotion2vec_plus_seed"),
                Hub.MODELSCOPE: Release("iic/emotion2vec_plus_seed"),
            },
        ),
    }
)
