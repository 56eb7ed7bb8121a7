"""Trials: the few timed passes at a device process's start that its profile is fitted to.

They are part of every cold start, so they are short. What bends the cost shows only in long clips, and a pass of one
would take longer than all the others: on a CPU one of its blocks stands for it, since the blocks are what bends.
"""

import time
from collections.abc import Callable

import numpy as np

from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.engine import Engine, Wave
from streamproc.emotion.passes import Passes
from streamproc.records.profile import KNEE_SAMPLES, Profile, Trial, bends, fit, most_items

SHORT_S, MIDDLE_S, LONG_S = 0.5, 3.0, 30.0
KNEE_S = KNEE_SAMPLES / SAMPLE_RATE
RUNS = 2
ENOUGH_S = 0.1
"""The best of so many runs counts, or of as many as this takes: whatever else the machine does only adds."""


def measure(engine: Engine, passes: Passes) -> Profile:
    """Warm an engine up and time it. A pass that its memory does not hold lowers the ceiling of ``passes`` here."""
    passes.run([_noise(SHORT_S)])
    timed = [_pass(passes, 1, SHORT_S), _full(passes, MIDDLE_S)]
    if passes.most_samples:
        curve = [timed[-1], _full(passes, KNEE_S), _full(passes, LONG_S)]
        timed += curve[1:]
    else:
        curve = [_blocks(engine, seconds) for seconds in (MIDDLE_S, KNEE_S, LONG_S)]
    return fit(passes.most_samples, timed, *bends(*curve))


def _full(passes: Passes, seconds: float) -> Trial:
    """A full pass, since what a device does with one clip says nothing of how it likes many."""
    samples = int(seconds * SAMPLE_RATE)
    if (hoped := most_items(samples, passes.most_samples)) > 1:
        passes.run([_noise(seconds)] * hoped)  # lowers the ceiling where memory does not hold them
    return _pass(passes, most_items(samples, passes.most_samples), seconds)


def _pass(passes: Passes, items: int, seconds: float) -> Trial:
    waves = [_noise(seconds)] * items
    return Trial(items, len(waves[0]), _best(lambda: _seconds(lambda: passes.run(waves))))


def _blocks(engine: Engine, seconds: float) -> Trial:
    samples = int(seconds * SAMPLE_RATE)
    return Trial(1, samples, _best(lambda: engine.blocks_s(samples)))


def _best(run: Callable[[], float]) -> float:
    found = [run() for _ in range(RUNS)]
    while sum(found) < ENOUGH_S:
        found.append(run())
    return min(found)


def _noise(seconds: float) -> Wave:
    """Not silence: accelerators multiply zeros faster, since that takes less power."""
    return np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE), np.float32)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
