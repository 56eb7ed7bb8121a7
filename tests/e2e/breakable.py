"""An analyzer that is quick, and fails every segment until it is mended."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.e2e.workers import Worker

SOURCE = """
import os
import numpy as np
from streamproc.analyzer import measure
from streamproc.records.compute import ItemError, Scored
from streamproc.records.identity import ModelIdentity


class Breakable:
    def __init__(self):
        self.identity = ModelIdentity("breakable", "0" * 64, "fp64", ("good", "bad"), engine="breakable 1")
        self.profile = measure(lambda wave: Scored((0.75, 0.25)))  # its trials are well, or it would not start

    def run(self, batch):
        return [self._one(wave) for wave in batch]

    def _one(self, wave):
        if os.path.exists("mended") and len(wave) and np.isfinite(wave).all():
            return Scored((0.75, 0.25))
        return ItemError("this deployment is broken")


def make(options):
    return Breakable()
"""


def use_breakable(worker: Worker, folder: Path) -> Callable[[], None]:
    """Let a worker run on it in its ``folder``; what is given back mends it."""
    (folder / "breakable.py").write_text(SOURCE, "utf-8")
    worker.set("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    worker.set("STREAMPROC_MODEL__ENGINE", "breakable:make")
    return (folder / "mended").touch
