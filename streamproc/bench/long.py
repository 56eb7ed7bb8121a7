"""Long recordings through the engine: whether time grows as their length does, and memory does not."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamproc.bench.machine import Machine, look
from streamproc.bench.spread import Spread, spread
from streamproc.bench.subject import open_subject
from streamproc.cores import cores
from streamproc.emotion.device_child import MEMORY
from streamproc.errors import StreamprocError
from streamproc.telemetry.told import Told

LENGTHS_S = (10.0, 60.0, 600.0, 3600.0, 14_400.0)
PACKAGES = ("torch", "numpy", "onnxruntime")
MODULE = "streamproc.bench.long_run"


class NoRunError(StreamprocError):
    """Raised when a process did not come to its end."""


@dataclass(frozen=True, slots=True)
class LongRun:
    """One recording, in a process of its own."""

    taken_s: float
    """From the first block of samples to the recording's value; loading and warm-up are before it."""
    segments: int
    speech_s: float
    before_mib: float
    """The most that was resident once the model and the voice detector had done 30 s."""
    peak_mib: float
    """The most at the end."""


@dataclass(frozen=True, slots=True)
class Length:
    """Recordings of one length, one of each round."""

    seconds: float
    runs: Sequence[LongRun]

    @property
    def ms_per_audio_s(self) -> Spread:
        """Milliseconds for each second of the recording, pauses included."""
        return spread([1000 * run.taken_s / self.seconds for run in self.runs])

    @property
    def peak_mib(self) -> float:
        """The most of all runs."""
        return max(run.peak_mib for run in self.runs)


@dataclass(frozen=True, slots=True)
class LongReport:
    """What was measured."""

    machine: Machine
    model: str
    threads: int
    lengths: Sequence[Length]
    """Shortest first."""

    @property
    def slope(self) -> float:
        """Time for a second of the longest over that for one of the next shorter one, medians; 1: it is linear."""
        *_, shorter, longest = (length.ms_per_audio_s.middle for length in self.lengths)
        return longest / shorter

    @property
    def growth_mib(self) -> float:
        """The most memory of the longest, less that of the shortest."""
        return self.lengths[-1].peak_mib - self.lengths[0].peak_mib


def run_long(model: str, threads: int, longest_s: float, rounds: int, told: Told) -> LongReport:
    """Measure all ``LENGTHS_S`` up to ``longest_s`` in turn; ``threads`` 0 takes all cores.

    Raises CheckpointError, NoRunError.
    """
    machine, threads = look(PACKAGES), threads or cores()
    lengths = [seconds for seconds in LENGTHS_S if seconds <= longest_s]
    with open_subject(model, told) as directory:
        runs: Mapping[float, list[LongRun]] = {seconds: [] for seconds in lengths}
        for number in range(rounds):
            for place, seconds in enumerate(lengths):
                runs[seconds].append(_run(directory, seconds, threads))
                told("recordings", f"of {seconds:g} s", number * len(lengths) + place + 1, rounds * len(lengths))
    return LongReport(machine, model, threads, [Length(seconds, found) for seconds, found in runs.items()])


def _run(directory: Path, seconds: float, threads: int) -> LongRun:
    done = subprocess.run(
        [sys.executable, "-m", MODULE, str(directory), str(seconds), str(threads)],
        env=MEMORY | os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NoRunError(f"a recording of {seconds:g} s came to no end: {done.stderr.strip()[-500:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    before, peak = (answer[name] / 1024 for name in ("before_kib", "peak_kib"))
    return LongRun(answer["taken_s"], answer["segments"], answer["speech_s"], before, peak)
