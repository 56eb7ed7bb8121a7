"""The models that are compared: the published shapes with random weights, and the checkpoint that ships."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamproc.bench.random import SHAPES, random_model
from streamproc.cache_root import cache_root
from streamproc.emotion.directory import find_directory
from streamproc.emotion.network import NetworkConfig


@dataclass(frozen=True, slots=True)
class Subject:
    """A model. ``config`` is None for one that ships; all others get random weights."""

    name: str
    config: NetworkConfig | None
    parameters: int


SUBJECTS = (
    Subject("plus_large", SHAPES["plus_large"], 162_140_185),
    Subject("plus_base", SHAPES["plus_base"], 93_178_133),
    Subject("demo", None, 969_229),
)


@contextmanager
def directory(subject: Subject, seed: int) -> Iterator[Path]:
    """A model directory as FunASR publishes them, gone after the block unless it ships."""
    if subject.config is None:
        yield find_directory(subject.name, cache_root(None, os.environ))
        return
    with random_model(subject.name, subject.config, seed) as path:
        yield path
