"""The engine against FunASR's own loop, clip by clip in one process, on the same clips and threads."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ParamSpec

import torch

from streamproc.bench.gemm import gemm_gflops, gflop_per_second
from streamproc.bench.machine import Machine, look
from streamproc.bench.peer import Peer, open_peer
from streamproc.bench.spread import Spread, ratios, spread
from streamproc.bench.waves import Wave, make_waves, seconds_of
from streamproc.emotion import checkpoint
from streamproc.emotion.directory import find_directory
from streamproc.emotion.engines import funasr_installed
from streamproc.emotion.model import EmotionModel, load_model
from streamproc.errors import StreamprocError
from streamproc.records.compute import ItemError
from streamproc.settings import cache_root

CLIPS = 12
SEED = 7
SHORTEST_S, LONGEST_S = 0.5, 14.0
"""Up to 15 s a recording is one segment."""
PACKAGES = ("torch", "numpy", "funasr")

P = ParamSpec("P")
Scores = Sequence[tuple[float, ...]]
Told = Callable[[str, str, int, int], None]


class NoScoresError(StreamprocError):
    """Raised when the model has no scores for a clip: then there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """FunASR beside us."""

    audio_seconds_per_s: Spread
    ratio: Spread
    """Our speed over its own, turn by turn."""
    largest_difference: float
    """Of any score of any clip."""


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What was measured. Speeds are seconds of audio for each second."""

    machine: Machine
    model: str
    threads: int
    clips: int
    clip_seconds: float
    repeats: int
    audio_seconds_per_s: Spread
    gemm_gflops: float
    gflop_per_audio_second: float
    floor_audio_seconds_per_s: float
    """If the network were nothing but products at the machine's own rate."""
    peer: PeerFigures | None
    """None where FunASR is not installed."""

    @property
    def of_floor(self) -> float:
        """The share of the floor's speed that was reached."""
        return self.audio_seconds_per_s.middle / self.floor_audio_seconds_per_s


def run_engine(model: str, threads: int, repeats: int, told: Told) -> EngineReport:
    """Measure. ``threads`` 0 takes all cores. Raises CheckpointError, NoScoresError."""
    machine = look(PACKAGES)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    try:
        return _measure(machine, model, repeats, told)
    finally:
        torch.set_num_threads(before)


def _measure(machine: Machine, model: str, repeats: int, told: Told) -> EngineReport:
    directory, threads = find_directory(model, cache_root(None, os.environ)), torch.get_num_threads()
    rate, operations = gemm_gflops(), gflop_per_second(checkpoint.load(directory).network)
    ours = load_model(model, device="cpu")
    waves = make_waves(CLIPS, SEED, SHORTEST_S, LONGEST_S)
    with ExitStack() as stack:
        peer = stack.enter_context(open_peer(directory, threads)) if funasr_installed() else None
        turns = take_turns(ours, peer, waves, repeats, told)
    seconds = seconds_of(waves)
    speeds = [seconds / turn for turn in turns.ours]
    return EngineReport(
        machine=machine,
        model=ours.identity.name,
        threads=threads,
        clips=len(waves),
        clip_seconds=round(seconds, 3),
        repeats=repeats,
        audio_seconds_per_s=spread(speeds),
        gemm_gflops=rate,
        gflop_per_audio_second=operations,
        floor_audio_seconds_per_s=rate / operations,
        peer=_compare(turns, seconds) if peer is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Turns:
    """Seconds of each turn over all clips, and the scores of the last."""

    ours: Sequence[float]
    theirs: Sequence[float]
    our_scores: Scores
    their_scores: Scores


def take_turns(ours: EmotionModel, peer: Peer | None, waves: Sequence[Wave], repeats: int, told: Told) -> Turns:
    """Both over all clips, clip by clip in turn, after one round that does not count; who begins changes."""
    mine, theirs = [0.0] * repeats, [0.0] * repeats
    our_scores = [_ours(ours, wave) for wave in waves]
    their_scores = [] if peer is None else [peer.scores(wave) for wave in waves]
    for turn in range(repeats):
        for number, wave in enumerate(waves):
            if peer is None or (turn + number) % 2:
                mine[turn] += _seconds(_ours, ours, wave)
            if peer is not None:
                theirs[turn] += _seconds(peer.scores, wave)
                if (turn + number) % 2 == 0:
                    mine[turn] += _seconds(_ours, ours, wave)
        told("turns", "ours and FunASR's" if peer is not None else "ours", turn + 1, repeats)
    return Turns(mine, theirs, our_scores, their_scores)


def _seconds(work: Callable[P, object], *args: P.args, **named: P.kwargs) -> float:
    start = time.perf_counter()
    work(*args, **named)
    return time.perf_counter() - start


def _ours(model: EmotionModel, wave: Wave) -> tuple[float, ...]:
    (value,) = model.run([wave])
    if isinstance(value, ItemError):
        raise NoScoresError(f"the model has no scores for a clip: {value.message}")
    return value


def _compare(turns: Turns, seconds: float) -> PeerFigures:
    return PeerFigures(
        audio_seconds_per_s=spread([seconds / turn for turn in turns.theirs]),
        ratio=ratios(turns.theirs, turns.ours),
        largest_difference=largest_difference(turns.our_scores, turns.their_scores),
    )


def largest_difference(ours: Scores, theirs: Scores) -> float:
    """Of any score of any clip. Raises ValueError where the two have not the same clips or labels."""
    return max(abs(a - b) for mine, other in zip(ours, theirs, strict=True) for a, b in zip(mine, other, strict=True))
