"""The engine's cost model against the clock: what it predicts for clips of mixed lengths, and what they take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from streamproc.arena import SAMPLE_RATE
from streamproc.bench.machine import Machine, look
from streamproc.bench.spread import Spread, spread
from streamproc.bench.subject import open_subject
from streamproc.bench.waves import Wave, make_waves
from streamproc.cores import cores
from streamproc.emotion.model import EmotionModel, load_model
from streamproc.records.profile import Profile
from streamproc.telemetry.told import Told

SHORTEST_S, LONGEST_S = 0.5, 60.0
SEED = 11
WITHIN = 0.2
"""How far a prediction may be off, as a share of what was measured."""
PACKAGES = ("torch", "numpy")


@dataclass(frozen=True, slots=True)
class Row:
    """One full pass of clips of one length: on a CPU that is one clip."""

    clip_seconds: float
    items: int
    predicted_s: float
    measured_s: float
    """The best of all turns, as the profile's own trials are."""

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted_s / self.measured_s


@dataclass(frozen=True, slots=True)
class CostReport:
    """What was predicted, and what was measured."""

    machine: Machine
    model: str
    device: str
    threads: int
    profile: Profile
    trials_s: float
    """What the trials took that the profile is fitted to, once at each start; the warm-up is in it."""
    repeats: int
    rows: Sequence[Row]
    """Shortest clips first."""

    @property
    def within(self) -> float:
        """The share of predictions that are off by at most ``WITHIN``."""
        return sum(abs(row.ratio - 1) <= WITHIN for row in self.rows) / len(self.rows)

    @property
    def ratio(self) -> Spread:
        """Predicted over measured, of all rows."""
        return spread([row.ratio for row in self.rows])


def run_cost(model: str, device: str, threads: int, clips: int, repeats: int, told: Told) -> CostReport:
    """Measure. ``threads`` 0 takes all cores. Raises CheckpointError, UsageError for a device that is not there."""
    machine = look(PACKAGES)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or cores())
    try:
        with open_subject(model, told) as directory:
            loaded = load_model(directory, device=device)
        start = time.perf_counter()
        profile = loaded.profile
        trials_s = time.perf_counter() - start
        waves = sorted(make_waves(clips, SEED, SHORTEST_S, LONGEST_S), key=len)
        rows = measure(loaded, [[wave] * profile.most_items(len(wave)) for wave in waves], repeats, told)
        threads = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    return CostReport(machine, loaded.identity.name, device, threads, profile, trials_s, repeats, rows)


def measure(model: EmotionModel, batches: Sequence[Sequence[Wave]], repeats: int, told: Told) -> Sequence[Row]:
    """All batches, turn by turn, so that what disturbs the machine for a while does not fall on one of them."""
    best = [float("inf")] * len(batches)
    for turn in range(repeats):
        for number, batch in enumerate(batches):
            start = time.perf_counter()
            model.run(batch)
            best[number] = min(best[number], time.perf_counter() - start)
        told("turns", "over all clips", turn + 1, repeats)
    return [
        Row(len(batch[0]) / SAMPLE_RATE, len(batch), model.cost([len(wave) for wave in batch]), seconds)
        for batch, seconds in zip(batches, best, strict=True)
    ]
