"""Trials: the few timed passes at a device process's start that its profile is fitted to.

They are part of every cold start, so they are short. What bends the cost shows only in long clips, and a pass of one
would take longer than all the others: on a CPU one of its blocks stands for it, since the blocks are what bends.
"""

from streamproc.analyzer import best, noise, trial
from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.engine import Engine, Lone
from streamproc.emotion.passes import Passes
from streamproc.records.profile import KNEE_SAMPLES, Profile, Trial, bends, fit, most_items

SHORT_S, MIDDLE_S, LONG_S = 0.5, 2.0, 30.0
KNEE_S = KNEE_SAMPLES / SAMPLE_RATE
ENOUGH_S = 0.1


def measure(engine: Engine, passes: Passes) -> Profile:
    """Warm an engine up and time it. A pass that its memory does not hold lowers the ceiling of ``passes`` here.

    Raises FatalError where it cannot compute.
    """
    passes.run([noise(int(SHORT_S * SAMPLE_RATE))])
    timed = [_pass(passes, 1, SHORT_S), _full(passes, MIDDLE_S)]
    if isinstance(engine, Lone):
        curve = [_blocks(engine, seconds) for seconds in (MIDDLE_S, KNEE_S, LONG_S)]
    else:
        curve = [timed[-1], _full(passes, KNEE_S), _full(passes, LONG_S)]
        timed += curve[1:]
    return fit(passes.most_samples, timed, *bends(*curve))


def _full(passes: Passes, seconds: float) -> Trial:
    """A full pass, since what a device does with one clip says nothing of how it likes many."""
    samples = int(seconds * SAMPLE_RATE)
    if (hoped := most_items(samples, passes.most_samples)) > 1:
        passes.run([noise(samples)] * hoped)  # lowers the ceiling where memory does not hold them
    return _pass(passes, most_items(samples, passes.most_samples), seconds)


def _pass(passes: Passes, items: int, seconds: float) -> Trial:
    return trial(lambda wave: passes.run([wave] * items), items, seconds, ENOUGH_S)


def _blocks(engine: Lone, seconds: float) -> Trial:
    samples = int(seconds * SAMPLE_RATE)
    return Trial(1, samples, best(lambda: engine.blocks_s(samples)))
