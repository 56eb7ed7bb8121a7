"""The engine against its peers, clip by clip in one process: the same clips, threads and settings of memory for all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import harmonic_mean

import torch

from streamproc.bench.gemm import Product, gflop
from streamproc.bench.graph import exported
from streamproc.bench.machine import Machine, look
from streamproc.bench.narrow import OURS as NARROW_OURS
from streamproc.bench.narrow import narrow_onnx_runtime, narrow_openvino
from streamproc.bench.peer import open_peer
from streamproc.bench.runtimes import GraphPeer, Logits, onnx_runtime, openvino
from streamproc.bench.spread import Spread, ratios, spread
from streamproc.bench.subject import open_subject
from streamproc.bench.turns import Run, Turns, largest_difference, take_turns
from streamproc.bench.waves import Wave, make_waves, seconds_of
from streamproc.cores import cores
from streamproc.emotion import checkpoint
from streamproc.emotion.model import EmotionModel, load_model
from streamproc.emotion.precision import Precision
from streamproc.errors import StreamprocError
from streamproc.records.compute import ItemError
from streamproc.telemetry.told import Told

CLIPS = 12
SEED = 7
SHORTEST_S, LONGEST_S = 1.0, 10.0
BOUND = 1e-4
"""An engine in fp32 whose scores are further from ours computes something else."""
PACKAGES = ("torch", "numpy", "funasr", "onnxruntime", "openvino")
OURS = "streamproc"
FUNASR, ONNX_RUNTIME, OPENVINO = "FunASR, clip by clip", "ONNX Runtime", "OpenVINO"
NEEDED: Mapping[str, Sequence[str]] = {
    FUNASR: ("funasr",),
    ONNX_RUNTIME: ("onnxruntime", "onnx", "onnxscript"),
    OPENVINO: ("openvino", "onnx", "onnxscript"),
}
"""Packages of each peer; the graph that two of them run is written by the last two."""
RUNTIMES: Mapping[str, Callable[[Path, int], Logits]] = {ONNX_RUNTIME: onnx_runtime, OPENVINO: openvino}
NARROW: Mapping[str, Callable[[Path, int], Iterator[tuple[Precision, Logits]]]] = {
    ONNX_RUNTIME: narrow_onnx_runtime,
    OPENVINO: narrow_openvino,
}


class NoScoresError(StreamprocError):
    """Raised when the model has no scores for a clip: then there is nothing to compare."""


class OtherNumbersError(StreamprocError):
    """Raised when an engine's scores are not ours: then its speed says nothing."""


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """An engine beside us."""

    name: str
    precision: str
    audio_seconds_per_s: Spread
    ratio: Spread
    """Our speed in fp32 over its own, turn by turn."""
    alike: Spread | None
    """Our speed in its own precision over its own; None in fp32, for ourselves, and where we have no such precision."""
    largest_difference: float
    """Of any score of any clip, from ours in fp32."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An engine in one precision."""

    engine: str
    precision: Precision
    run: Run

    @property
    def name(self) -> str:
        """As it stands in the table: fp32 goes without saying."""
        return named(self.engine, self.precision)


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
    gflop_per_audio_second: float
    gemm_gflops: Spread
    """The machine's own rate of fp32 products, of single trials between the clips."""
    of_gemm: Spread
    """Our rate over that of those trials together, turn by turn: what stops both for a while slows both."""
    peers: Sequence[PeerFigures]
    missing: Mapping[str, Sequence[str]]
    """Peers that are not installed, and what they take."""
    choices: Sequence[str] = ()
    """What our start chose on this machine, in fp32, and from what."""

    @property
    def of_best_gemm(self) -> float:
        """Our median rate over the best of all trials."""
        return self.audio_seconds_per_s.middle * self.gflop_per_audio_second / self.gemm_gflops.most


def named(engine: str, precision: Precision) -> str:
    """How an engine in a precision is called."""
    return engine if precision is Precision.FP32 else f"{engine}, {precision}"


def run_engine(model: str, threads: int, repeats: int, told: Told, *, narrow: bool = True) -> EngineReport:
    """Measure a shape with random weights, a model by name or a directory; ``threads`` 0 takes all cores.

    ``narrow``: each engine in what it offers below fp32 as well, in the same turns.

    Raises CheckpointError, NoScoresError, OtherNumbersError.
    """
    machine = look(PACKAGES)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or cores())
    try:
        with open_subject(model, told) as directory:
            return _measure(machine, directory, repeats, told, narrow=narrow)
    finally:
        torch.set_num_threads(before)


def _measure(machine: Machine, directory: Path, repeats: int, told: Told, *, narrow: bool) -> EngineReport:
    waves = make_waves(CLIPS, SEED, SHORTEST_S, LONGEST_S)
    missing = {name: absent for name, needed in NEEDED.items() if (absent := [n for n in needed if not find_spec(n)])}
    ours = load_model(directory, device="cpu")
    entries = [Entry(OURS, Precision.FP32, _scores_of(ours))]
    with ExitStack() as stack:
        operations = gflop(checkpoint.load(directory).network, waves)
        entries += _open(stack, directory, [name for name in NEEDED if name not in missing], told, narrow=narrow)
        if narrow:
            entries += [Entry(OURS, bits, _scores_of(load_model(directory, "cpu", bits))) for bits in NARROW_OURS]
        turns = take_turns({entry.name: entry.run for entry in entries}, Product().gflops, waves, repeats, told)
    seconds = seconds_of(waves)
    rates = [rate for turn in turns.gflops for rate in turn]
    return EngineReport(
        machine=machine,
        model=ours.identity.name,
        threads=torch.get_num_threads(),
        clips=len(waves),
        clip_seconds=round(seconds, 3),
        repeats=repeats,
        audio_seconds_per_s=spread([seconds / turn for turn in turns.seconds[OURS]]),
        gflop_per_audio_second=operations / seconds,
        gemm_gflops=spread(rates),
        of_gemm=ratios([operations / turn for turn in turns.seconds[OURS]], list(map(harmonic_mean, turns.gflops))),
        peers=[compare(entry, turns, seconds) for entry in entries[1:]],
        missing=missing,
        choices=ours.choices,
    )


def _open(stack: ExitStack, directory: Path, names: Sequence[str], told: Told, *, narrow: bool) -> Iterator[Entry]:
    """The peers that are installed."""
    threads = torch.get_num_threads()
    if FUNASR in names:
        yield Entry(FUNASR, Precision.FP32, stack.enter_context(open_peer(directory, threads)).scores)
    if runtimes := [name for name in RUNTIMES if name in names]:
        loaded = checkpoint.load(directory)
        told("graph", "for " + " and ".join(runtimes), 0, 1)
        graph = stack.enter_context(exported(loaded.network))
        for name in runtimes:
            found = [(Precision.FP32, RUNTIMES[name](graph, threads))]
            found += NARROW[name](graph, threads) if narrow else []
            for precision, logits in found:
                yield Entry(name, precision, GraphPeer(logits, loaded.network.config.stem, loaded.live).scores)
        told("graph", "for " + " and ".join(runtimes), 1, 1)


def _scores_of(model: EmotionModel) -> Run:
    def scores(wave: Wave) -> tuple[float, ...]:
        (value,) = model.run([wave])
        if isinstance(value, ItemError):
            raise NoScoresError(f"the model has no scores for a clip: {value.message}")
        return value.scores

    return scores


def compare(entry: Entry, turns: Turns, seconds: float) -> PeerFigures:
    """One engine beside us. Raises OtherNumbersError where it does not compute what we do, as fp32 has to."""
    name = entry.name
    theirs, difference = turns.seconds[name], largest_difference(turns.scores[OURS], turns.scores[name])
    if entry.precision is Precision.FP32 and difference > BOUND:
        raise OtherNumbersError(f"a score of {name} is {difference:.1e} from ours, more than {BOUND:g}")
    alike = turns.seconds.get(named(OURS, entry.precision)) if entry.precision is not Precision.FP32 else None
    return PeerFigures(
        name=name,
        precision=entry.precision,
        audio_seconds_per_s=spread([seconds / turn for turn in theirs]),
        ratio=ratios(theirs, turns.seconds[OURS]),
        alike=ratios(theirs, alike) if alike and entry.engine != OURS else None,
        largest_difference=difference,
    )
