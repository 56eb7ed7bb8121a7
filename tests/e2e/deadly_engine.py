"""An analyzer that one recording ends, and its device process with it."""

import os
import signal
from collections.abc import Sequence

from streamproc.analyzer import AnalyzerOptions, Wave, measure
from streamproc.records.compute import ItemError, Scored
from streamproc.records.identity import ModelIdentity

DEADLY_SAMPLES = 7_777
"""No other recording is so long."""


class Deadly:
    """Says nothing much about anything, quickly."""

    def __init__(self) -> None:
        self.identity = ModelIdentity("deadly", "0" * 64, "fp64", ("this", "that"), engine="deadly 1")
        self.profile = measure(self._one, most_samples=1_000_000)

    def run(self, batch: Sequence[Wave]) -> list[Scored | ItemError]:
        """One value for each; none at all when the deadly one is among them."""
        if any(len(wave) == DEADLY_SAMPLES for wave in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return [self._one(wave) for wave in batch]

    def _one(self, wave: Wave) -> Scored:
        level = float(abs(wave).mean())
        return Scored((level / (1 + level), 1 / (1 + level)))


def make(_options: AnalyzerOptions) -> Deadly:
    """As ``model.engine`` names it."""
    return Deadly()
