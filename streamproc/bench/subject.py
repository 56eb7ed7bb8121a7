"""The model that a benchmark is about: one of the published shapes with random weights, or whatever the user names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamproc.bench.random import SHAPES, add_training_state, random_model
from streamproc.cache_root import cache_root
from streamproc.emotion.directory import find_directory
from streamproc.telemetry.told import Told

SEED = 7


@contextmanager
def open_subject(model: str, told: Told, *, training_state: bool = False) -> Iterator[Path]:
    """Its directory. One with random weights is gone after the block, and has an optimizer's state if it is to."""
    if model not in SHAPES:
        yield find_directory(model, cache_root(None, os.environ))
        return
    what = "random weights and an optimizer's state" if training_state else "random weights"
    told("model", what, 0, 1)
    with random_model(model, SHAPES[model], SEED) as directory:
        if training_state:
            add_training_state(directory)
        told("model", what, 1, 1)
        yield directory
