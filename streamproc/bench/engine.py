"""The engine against FunASR's own loop, turn by turn in one process, on the same clips and threads."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from streamproc.bench.gemm import gemm_gflops, gflop_per_second
from streamproc.bench.machine import Machine, look
from streamproc.bench.peer import Peer, installed, open_peer
from streamproc.bench.spread import Spread, ratios, spread
from streamproc.bench.waves import Wave, make_waves, seconds_of
from streamproc.emotion import checkpoint
from streamproc.emotion.model import EmotionModel, find_directory, load_model
from streamproc.errors import StreamprocError
from streamproc.records.compute import ItemError

CLIPS = 12
SEED = 7
SHORTEST_S, LONGEST_S = 0.5, 14.0
"""Up to 15 s a recording is one segment."""
PACKAGES = ("torch", "numpy", "funasr")

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
    directory, threads = find_directory(model), torch.get_num_threads()
    rate, operations = gemm_gflops(), gflop_per_second(checkpoint.load(directory).network)
    ours = load_model(model, device="cpu")
    waves = make_waves(CLIPS, SEED, SHORTEST_S, LONGEST_S)
    with ExitStack() as stack:
        peer = stack.enter_context(open_peer(directory, threads)) if installed() else None
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
    """Both over all clips, one after the other, after one turn that does not count; who begins changes."""
    mine: list[float] = []
    theirs: list[float] = []
    our_scores, their_scores = _ours(ours, waves), _theirs(peer, waves)

    def our_turn() -> None:
        mine.append(_seconds(lambda: _ours(ours, waves)))

    def their_turn() -> None:
        theirs.append(_seconds(lambda: _theirs(peer, waves)))

    for turn in range(repeats):
        for take in (our_turn, their_turn) if turn % 2 else (their_turn, our_turn):
            take()
        told("turns", "ours and FunASR's" if peer is not None else "ours", turn + 1, repeats)
    return Turns(mine, theirs, our_scores, their_scores)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _ours(model: EmotionModel, waves: Sequence[Wave]) -> Scores:
    scores = []
    for value in model.run(waves):
        if isinstance(value, ItemError):
            raise NoScoresError(f"the model has no scores for a clip: {value.message}")
        scores.append(value)
    return scores


def _theirs(peer: Peer | None, waves: Sequence[Wave]) -> Scores:
    return [] if peer is None else [peer.scores(wave) for wave in waves]


def _compare(turns: Turns, seconds: float) -> PeerFigures:
    return PeerFigures(
        audio_seconds_per_s=spread([seconds / turn for turn in turns.theirs]),
        ratio=ratios(turns.theirs, turns.ours),
        largest_difference=largest_difference(turns.our_scores, turns.their_scores),
    )


def largest_difference(ours: Scores, theirs: Scores) -> float:
    """Of any score of any clip. Raises ValueError where the two have not the same clips or labels."""
    return max(abs(a - b) for mine, other in zip(ours, theirs, strict=True) for a, b in zip(mine, other, strict=True))
