"""An end for seeds that have none: one that hangs is named, and the others are played."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from streamproc.testing.simulation.simulation import Found, broken, simulate

PATIENCE_S = 30.0
"""CPU seconds; a seed takes some hundredths of one."""


class _OutOfPatience(BaseException):
    """Raised wherever a seed is, past whoever catches what a worker may raise."""


def simulate_patiently(seed: int, seconds: float = PATIENCE_S, play: Callable[[int], Found] = simulate) -> Found:
    """Play one seed for so many CPU seconds at most. For the main thread of a process, which has one timer."""
    where: list[str] = []

    def ring(_number: int, frame: FrameType | None) -> NoReturn:
        if frame is not None:
            where.append(f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})")
        raise _OutOfPatience

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds, seconds)  # again and again: what ends may begin the next loop
    try:
        found = play(seed)
    except _OutOfPatience:
        found = broken(seed, "")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    if not where:
        return found
    return replace(found, violation=f"it did not end in {seconds:g} s of CPU, and was in {where[0]}")
