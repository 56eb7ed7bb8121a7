"""Turns: several engines over the same clips, clip by clip, so that what disturbs the machine disturbs them all."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan

from streamproc.bench.waves import Wave
from streamproc.telemetry.told import Told

Scores = tuple[float, ...]
Run = Callable[[Wave], Scores]


@dataclass(frozen=True, slots=True)
class Turns:
    """What came of it, by engine: seconds of each turn over all clips, and the scores of each clip."""

    seconds: Mapping[str, Sequence[float]]
    scores: Mapping[str, Sequence[Scores]]
    gflops: Sequence[Sequence[float]]
    """Of each turn: the machine's own rate, asked for between the clips."""


def take_turns(
    engines: Mapping[str, Run], rate: Callable[[], float], waves: Sequence[Wave], repeats: int, told: Told
) -> Turns:
    """Run all engines on each clip, after one round that does not count; who begins changes from clip to clip."""
    names = list(engines)
    scores = {name: [engines[name](wave) for wave in waves] for name in names}
    seconds = {name: [0.0] * repeats for name in names}
    gflops: list[list[float]] = []
    for turn in range(repeats):
        gflops.append([])
        for number, wave in enumerate(waves):
            first = (turn + number) % len(names)
            for name in names[first:] + names[:first]:
                seconds[name][turn] += _seconds(engines[name], wave)
            gflops[turn].append(rate())
        told("turns", ", ".join(names), turn + 1, repeats)
    return Turns(seconds, scores, gflops)


def largest_difference(ours: Sequence[Scores], theirs: Sequence[Scores]) -> float:
    """Of any score of any clip; infinite where one is not a number.

    Raises ValueError where the two have not the same clips or labels.
    """
    apart = [abs(a - b) for mine, other in zip(ours, theirs, strict=True) for a, b in zip(mine, other, strict=True)]
    return inf if any(map(isnan, apart)) else max(apart)


def _seconds(run: Run, wave: Wave) -> float:
    start = time.perf_counter()
    run(wave)
    return time.perf_counter() - start
