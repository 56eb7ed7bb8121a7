"""Cold starts: from a new process to the first result, ours beside FunASR's and beside torch's own import."""

import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamproc.arena import Arena
from streamproc.bench.machine import Machine, look
from streamproc.bench.spread import Spread, ratios, spread
from streamproc.bench.subject import open_subject
from streamproc.bench.waves import make_waves
from streamproc.cores import cores
from streamproc.emotion import checkpoint
from streamproc.emotion.device import DeviceProcess
from streamproc.emotion.device_child import MEMORY
from streamproc.emotion.engines import funasr_installed
from streamproc.emotion.funasr_config import read_paths
from streamproc.emotion.precision import FASTEST, MAPPED
from streamproc.errors import StreamprocError
from streamproc.records.compute import BatchDone, DeviceEvent, DeviceReady, SegmentHandle
from streamproc.settings import ModelSettings
from streamproc.telemetry.told import Told

PACKAGES = ("torch", "numpy", "funasr")
TORCH, OURS, SHARED, FUNASR = "torch", "streamproc", "mapped", "funasr"
MODULE = "streamproc.bench.cold_start"
Weights = Literal["fastest", "mapped"]
WEIGHTS: tuple[Weights, ...] = (FASTEST, MAPPED)
CROWDS = (1, 2, 4)
"""Device processes at once on one checkpoint."""
SEED = 7
PATIENCE_S = 600.0
"""Busy cores take minutes for what quiet ones do in seconds, and a table of an hour should not be lost to that."""
BARE, IMPORT = "pass", "import streamproc"
IMPORTS = 5
"""Of each in a round: they are short, and the best counts."""
SHARES = ("Rss", "Pss", "Private_Clean", "Private_Dirty")
"""Lines of /proc/PID/smaps_rollup: all pages, each by how many share it, and those that nobody does."""


class NoStartError(StreamprocError):
    """Raised when a process did not start, or not in time."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of one kind: seconds of each phase in order, and MiB."""

    phases_s: Mapping[str, float]
    peak_mib: Mapping[str, float]
    """The most so far, at the end of each phase."""

    @property
    def total_s(self) -> float:
        """From the call that started the process to its first result."""
        return sum(self.phases_s.values())


@dataclass(frozen=True, slots=True)
class Crowd:
    """Device processes on one checkpoint, after a clip each: MiB of all of them together."""

    processes: int
    mib: Mapping[str, float]
    weights: Weights = FASTEST
    """How they lie in memory: the setting ``model.weights``."""


@dataclass(frozen=True, slots=True)
class ColdReport:
    """What was measured."""

    machine: Machine
    model: str
    checkpoint_mib: float
    weights_mib: float
    """What of it the network uses, in fp32."""
    threads: int
    starts: Mapping[str, Sequence[Start]]
    """By kind, in the order of the rounds."""
    ready_s: Sequence[float]
    """From the spawn of a device process until it says that it is ready, of each round."""
    crowds: Sequence[Crowd]
    import_s: Mapping[str, Sequence[float]]
    """Processor time; of each round, the best ``python -c`` of both lines in turn: ``BARE`` and ``IMPORT``."""

    @property
    def package_s(self) -> Spread:
        """What the package's own import adds to Python's start, round by round."""
        return spread([own - bare for own, bare in zip(self.import_s[IMPORT], self.import_s[BARE], strict=True)])

    def totals(self, kind: str) -> Sequence[float]:
        """Of each round."""
        return [start.total_s for start in self.starts[kind]]

    def over(self, kind: str) -> Spread:
        """Our start over another's, round by round."""
        return ratios(self.totals(OURS), self.totals(kind))

    @property
    def added_mib(self) -> Sequence[float]:
        """What our weights and first result took at most beyond the imports, of each round."""
        return [max(start.peak_mib.values()) - start.peak_mib["imports"] for start in self.starts[OURS]]

    @property
    def ready_over_ours_s(self) -> Spread:
        """How much later a device process is ready than a started process has its first result, round by round."""
        return spread([a - b for a, b in zip(self.ready_s, self.totals(OURS), strict=True)])

    @property
    def ready_over_torch_s(self) -> Spread:
        """How much longer a device process takes than torch's import, round by round."""
        return spread([a - b for a, b in zip(self.ready_s, self.totals(TORCH), strict=True)])


def run_cold(model: str, threads: int, rounds: int, told: Told) -> ColdReport:
    """Measure, after one round that does not count: it fills the page cache and lets the weights be checked.

    Raises CheckpointError, NoStartError.
    """
    machine, threads = look(PACKAGES), threads or cores()
    kinds = [TORCH, OURS, SHARED, *([FUNASR] if funasr_installed() else [])]
    with open_subject(model, told, training_state=True) as directory:
        starts: dict[str, list[Start]] = {kind: [] for kind in kinds}
        ready: list[float] = []
        imports: dict[str, list[float]] = {line: [] for line in (BARE, IMPORT)}
        settings = ModelSettings(name_or_dir=str(directory), device="cpu", threads=threads)
        for number in range(rounds + 1):
            for kind in kinds:
                start = start_once(kind, directory, threads)
                if number:
                    starts[kind].append(start)
            with ExitStack() as stack:
                seconds = _device(stack, settings)[0]
            best = import_once()
            if number:
                ready.append(seconds)
                for line, taken in best.items():
                    imports[line].append(taken)
            told("rounds", ", ".join(kinds), number, rounds)
        crowds = [_crowd(settings, weights, processes) for weights in WEIGHTS for processes in CROWDS]
        size = read_paths(directory)[1].stat().st_size / 2**20
        used = sum(each.nbytes for each in checkpoint.load(directory).network.parameters()) / 2**20
    return ColdReport(machine, directory.name, size, used, threads, starts, ready, crowds, imports)


def import_once() -> Mapping[str, float]:
    """Processor seconds of a process that imports the package, and of one that does nothing: busy cores add to no such.

    Raises CalledProcessError.
    """
    best = {BARE: float("inf"), IMPORT: float("inf")}
    for _ in range(IMPORTS):
        for line in (BARE, IMPORT):
            before = _children_s()
            subprocess.run([sys.executable, "-c", line], check=True)
            best[line] = min(best[line], _children_s() - before)
    return best


def _children_s() -> float:
    """Processor time of all processes that this one started and saw end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start_once(kind: str, directory: Path, threads: int) -> Start:
    """Start a process of that kind and wait for its end. Raises NoStartError."""
    begun = time.monotonic_ns()
    done = subprocess.run(
        [sys.executable, "-m", MODULE, kind, str(directory), str(begun), str(threads)],
        env=MEMORY | os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    if done.returncode != 0:
        raise NoStartError(f"{kind} did not start on {directory}: {done.stderr.strip()[-500:]}")
    return read_start(json.loads(done.stdout.splitlines()[-1]))  # FunASR talks before


def read_start(answer: Mapping[str, Mapping[str, object]]) -> Start:
    """What a process says, as seconds of each phase by itself."""
    ends: Mapping[str, int] = answer["ends_ns"]  # type: ignore[assignment]  # JSON of our own making
    memory: Mapping[str, Mapping[str, int]] = answer["memory_kib"]  # type: ignore[assignment]  # same
    before, phases = 0, {}
    for phase, end in ends.items():
        phases[phase], before = (end - before) / 1e9, end
    return Start(phases, {phase: found["VmHWM"] / 1024 for phase, found in memory.items()})


def _device(stack: ExitStack, settings: ModelSettings) -> tuple[float, DeviceProcess, Arena]:
    """Start a device process; seconds until it is ready."""
    arena = stack.enter_context(closing(Arena(1)))
    device = stack.enter_context(closing(DeviceProcess(settings, arena)))
    begun = time.monotonic()
    device.start()
    _await(device, DeviceReady)
    return time.monotonic() - begun, device, arena


def _await(device: DeviceProcess, kind: type[DeviceEvent]) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        select.select([device], [], [], 1.0)
        if any(isinstance(event, kind) for event in device.take(time.monotonic())):
            return
    raise NoStartError(f"the device process was not ready within {PATIENCE_S:g} s")


def _crowd(settings: ModelSettings, weights: Weights, processes: int) -> Crowd:
    (wave,) = make_waves(1, SEED, 2, 2)
    settings = settings.model_copy(update={"weights": weights})
    with ExitStack() as stack:
        found = [_device(stack, settings)[1:] for _ in range(processes)]
        for device, arena in found:
            lease = arena.lease()
            if lease is None:
                raise NoStartError("the arena has no slot")
            arena.write(lease, wave)
            device.submit(1, [SegmentHandle(lease, len(wave))])
            _await(device, BatchDone)
        shares = [shares_mib(Path(f"/proc/{device.pid}/smaps_rollup").read_text()) for device, _ in found]
    return Crowd(processes, {name: sum(share[name] for share in shares) for name in SHARES}, weights)


def shares_mib(rollup: str) -> Mapping[str, float]:
    """The figures of ``SHARES`` in a ``smaps_rollup``, in MiB."""
    lines = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
    return {name: int(lines[name].split()[0]) / 1024 for name in SHARES}
