"""The engine on a CUDA device, against its goals. It has run nowhere yet: no such device could be had."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from streamproc.arena import SAMPLE_RATE
from streamproc.bench.gemm import gflop
from streamproc.bench.kernels import Launch, busy, shares
from streamproc.bench.machine import Machine, look
from streamproc.bench.peer import Peer, open_peer
from streamproc.bench.spread import Spread, ratios, spread
from streamproc.bench.subject import open_subject
from streamproc.bench.waves import Wave, make_waves, seconds_of
from streamproc.emotion import checkpoint
from streamproc.emotion.cuda.engine import CudaEngine, Launched, open_cuda
from streamproc.emotion.engines import funasr_installed
from streamproc.emotion.half import HALVES, cast
from streamproc.emotion.precision import Precision, check
from streamproc.errors import UsageError
from streamproc.telemetry.told import Told

CLIP_S, CLIPS = 5.0, 128
"""A batch of the stream: as many clips as the worker puts into one message."""
BATCHES = 24
TWENTY, TWENTY_S = 20, 8.0
RUNS = 30
"""Of the short passes; the first ones, in which shapes are recorded, do not count."""
UNCOUNTED = 5
PEER_CLIPS = 16
PROFILED = 6
PRODUCT, PRODUCTS = 8192, 20
SEED = 7
PACKAGES = ("torch", "numpy", "funasr")
DTYPES = {Precision.FP32: torch.float32, **HALVES}


@dataclass(frozen=True, slots=True)
class GpuPeer:
    """FunASR on the same device, as it comes: fp32, clip by clip, convolutions as torch sets them."""

    audio_seconds_per_s: Spread
    ratio: Spread
    """Our speed over its own, turn by turn."""


@dataclass(frozen=True, slots=True)
class GpuReport:
    """What was measured. Speeds are seconds of audio for each second."""

    machine: Machine
    device: str
    memory_gib: float
    model: str
    precision: str
    clips: int
    """Of 5 s in a batch: 128, or what the memory holds of them."""
    audio_seconds_per_s: Spread
    """In a stream of such batches, two under way."""
    busy: float
    """The share of that stream's time in which the device ran anything, under a profiler that slows the host."""
    kernels: Mapping[str, float]
    """Its shares by kind."""
    twenty_ms: Spread
    """20 clips of 8 s, from their waveforms to their numbers."""
    alone_ms: Spread
    """One clip of 5 s, likewise."""
    product_tflops: float
    """The device's own rate of products in that precision."""
    gflop_per_audio_second: float
    floor_audio_seconds_per_s: float
    """If the network were nothing but products at that rate."""
    peak_memory_gib: float
    peer: GpuPeer | None
    """None where FunASR is not installed."""

    @property
    def of_floor(self) -> float:
        """The share of the floor's speed that was reached."""
        return self.audio_seconds_per_s.middle / self.floor_audio_seconds_per_s


def run_gpu(model: str, precision: str, turns: int, told: Told) -> GpuReport:
    """Measure. Raises UsageError where there is no CUDA device, CheckpointError."""
    if not torch.cuda.is_available():
        raise UsageError("bench gpu measures a CUDA device, and torch finds none here; bench engine measures the CPU")
    bits = check(precision, "cuda")
    machine = look(PACKAGES)
    with open_subject(model, told) as directory:
        return _measure(machine, directory, bits, turns, told)


def _measure(machine: Machine, directory: Path, bits: Precision, turns: int, told: Told) -> GpuReport:
    loaded = checkpoint.load(directory)
    operations = gflop(loaded.network, [np.zeros(int(CLIP_S * SAMPLE_RATE), np.float32)]) / CLIP_S
    engine = open_cuda(cast(loaded.network, bits), CLIPS * CLIP_S)
    waves = make_waves(2 * CLIPS, SEED, CLIP_S, CLIP_S)
    count = fitting(engine, waves[:CLIPS])
    batches = [waves[:count], waves[CLIPS : CLIPS + count]] * (BATCHES // 2)
    launches = profiled(engine, batches[:PROFILED])
    peak = torch.cuda.max_memory_allocated()
    with ExitStack() as stack:
        peer = (
            stack.enter_context(open_peer(directory, torch.get_num_threads(), "cuda")) if funasr_installed() else None
        )
        ours, theirs = take_turns(engine, peer, batches, turns, told)
    rate = product_tflops(DTYPES[bits])
    return GpuReport(
        machine=machine,
        device=torch.cuda.get_device_name(),
        memory_gib=torch.cuda.get_device_properties().total_memory / 2**30,
        model=loaded.name,
        precision=bits,
        clips=count,
        audio_seconds_per_s=spread(ours),
        busy=busy(launches),
        kernels=shares(launches),
        twenty_ms=latency_ms(engine, make_waves(TWENTY, SEED, TWENTY_S, TWENTY_S), RUNS),
        alone_ms=latency_ms(engine, waves[:1], RUNS),
        product_tflops=rate,
        gflop_per_audio_second=operations,
        floor_audio_seconds_per_s=1000 * rate / operations,
        peak_memory_gib=peak / 2**30,
        peer=GpuPeer(spread(theirs), ratios(ours, theirs)) if theirs else None,
    )


def fitting(engine: CudaEngine, waves: Sequence[Wave]) -> int:
    """How many of these clips the memory holds in one pass: all, or half of them, or half of that."""
    count = len(waves)
    while count > 1 and not _fits(engine, waves[:count]):
        count //= 2
    return count


def _fits(engine: CudaEngine, waves: Sequence[Wave]) -> bool:
    try:
        engine.run(waves)
        engine.run(waves)
    except MemoryError:
        return False
    return True


def stream(engine: CudaEngine, batches: Sequence[Sequence[Wave]]) -> float:
    """Seconds for all batches, the next one launched before the last is taken."""
    under_way: deque[Launched] = deque()
    start = time.perf_counter()
    for waves in batches:
        if len(under_way) > 1:
            under_way.popleft().take()
        under_way.append(engine.submit(waves))
    for running in under_way:
        running.take()
    return time.perf_counter() - start


def latency_ms(engine: CudaEngine, waves: Sequence[Wave], runs: int) -> Spread:
    """Of one pass with nothing else under way, after some that do not count."""
    times = [stream(engine, [waves]) for _ in range(UNCOUNTED + runs)]
    return spread([1000 * seconds for seconds in times[UNCOUNTED:]])


def take_turns(
    engine: CudaEngine, peer: Peer | None, batches: Sequence[Sequence[Wave]], turns: int, told: Told
) -> tuple[list[float], list[float]]:
    """Our speeds and FunASR's, turn by turn, after one that does not count."""
    ours, theirs = [], []
    total = sum(map(seconds_of, batches))
    clips = batches[0][:PEER_CLIPS]
    for turn in range(turns + 1):
        ours.append(total / stream(engine, batches))
        if peer is not None:
            theirs.append(seconds_of(clips) / _clip_by_clip(peer, clips))
        told("turns", "ours and FunASR's" if peer is not None else "ours", turn, turns)
    return ours[1:], theirs[1:]


def _clip_by_clip(peer: Peer, clips: Sequence[Wave]) -> float:
    with _as_torch_sets_them():
        start = time.perf_counter()
        for wave in clips:
            peer.scores(wave)
        return time.perf_counter() - start


@contextmanager
def _as_torch_sets_them() -> Iterator[None]:
    """Convolutions in 10 bits, as they are until somebody asks for fp32; our engine has."""
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # made when it is imported
    ours = convolutions.fp32_precision
    convolutions.fp32_precision = "tf32"
    try:
        yield
    finally:
        convolutions.fp32_precision = ours


@torch.inference_mode()
def product_tflops(dtype: torch.dtype) -> float:
    """10^12 operations a second of one large product, a product and a sum being two; the best of several, warm.

    Of random numbers: zeros take less power, and are multiplied faster.
    """
    one, other = (torch.randn(PRODUCT, PRODUCT, device="cuda", dtype=dtype) for _ in range(2))
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]  # torch left it without types
    times = []
    for _ in range(PRODUCTS):
        begin.record()
        one @ other
        end.record()
        end.synchronize()
        times.append(float(begin.elapsed_time(end)) / 1000)
    return 2 * PRODUCT**3 / min(times) / 1e12


def profiled(engine: CudaEngine, batches: Sequence[Sequence[Wave]]) -> list[Launch]:
    """All that the device ran for a stream of batches, by torch's profiler."""
    stream(engine, batches)
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        stream(engine, batches)
    return [
        Launch(event.name, event.time_range.start, event.time_range.end)
        for event in found.events()
        if event.device_type.name == "CUDA" and not event.is_user_annotation
    ]
