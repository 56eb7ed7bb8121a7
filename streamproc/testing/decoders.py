"""Decoders whose recordings are made of JSON: ``{"ms": 3000, "silent": false}``.

``fail`` names a reason, ``cut`` says how long segments are (ms) that are not of 15 s, ``poison`` how the first of them
breaks a ``FakeEngine``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE, SLOT_SECONDS, ArenaMap, Lease
from streamproc.errors import Reason
from streamproc.records.analysis import AudioInfo
from streamproc.records.decoding import Decoded, DecodeFailed, DecodeJob, DecoderEvent, SegmentReady, SlotWanted
from streamproc.testing.engine import POISON

_SLOT_MS = SLOT_SECONDS * 1000
_SHORTEST_MS = 25
"""The network's receptive field."""


def recording(ms: int = 1000, **more: object) -> bytes:
    """The bytes of a recording that ``FakeDecoders`` understands; ``more`` makes it differ from others."""
    return json.dumps({"ms": ms, **more}).encode()


def waveform(body: bytes, segment: int, ms: int) -> NDArray[np.float32]:
    """What ``FakeDecoders`` makes of a segment: its first samples tell it from every other."""
    digest = hashlib.sha256(body + bytes([segment % 256])).digest()
    samples = ms * SAMPLE_RATE // 1000
    wave = np.zeros(samples, np.float32)
    wave[: len(digest)] = np.frombuffer(digest, np.uint8)[:samples] / np.float32(255)
    return wave


@dataclass(slots=True)
class _Job:
    body: bytes
    channel: int
    ms: int
    silent: bool
    fail: Reason | None
    cut_ms: int
    poison: str | None
    done_ms: int = 0
    segments: int = 0
    waiting: bool = False
    ready: SegmentReady | None = None
    killed: bool = False


class FakeDecoders:
    """Satisfies ``worker.ports.Decoders``: cuts at 15 s, or where it is told, and asks for a slot per segment.

    A recording that fails does so in place of its last segment, as one does whose end is missing. ``die`` loses a job
    as a killed child does. A child that is replaced, after ``die`` or ``cancel``, can work from the next take on.

    ``held``     while true nothing is decoded; may be changed at any time
    ``busy``     jobs of which nothing is heard yet but their death; may be changed at any time
    ``decoded``  bodies that were decoded to their end
    """

    def __init__(self, arena: ArenaMap, children: int = 2) -> None:
        self.held = False
        self.busy: set[int] = set()
        self.decoded: list[bytes] = []
        self._arena = arena
        self._children = children
        self._starting = 0
        self._jobs: dict[int, _Job] = {}

    @property
    def running(self) -> Mapping[int, bytes]:
        """Jobs that a living child has, with the bodies of their recordings."""
        return {number: job.body for number, job in self._jobs.items() if not job.killed}

    def idle(self) -> int:
        """How many jobs can be submitted now."""
        return self._children - len(self._jobs) - self._starting

    def submit(self, job: DecodeJob) -> None:
        """Start a job. Raises LookupError when no child is idle."""
        if not self.idle():
            raise LookupError(f"job {job.job} was submitted while no decoder is idle")
        spec = _read(job.body)
        fail = Reason(spec["fail"]) if "fail" in spec else None
        ms = spec.get("ms", 0)
        silent = bool(spec.get("silent")) or ms < _SHORTEST_MS
        cut_ms = min(spec.get("cut", _SLOT_MS), _SLOT_MS)
        channel = -1 if job.channels == "mix" else 0
        self._jobs[job.job] = _Job(job.body, channel, ms, silent, fail, cut_ms, spec.get("poison"))

    def grant(self, job: int, lease: Lease) -> None:
        """Fill a slot. The lease of a job that has ended meanwhile is free again at once."""
        state = self._jobs.get(job)
        if state is None or not state.waiting:
            return
        state.waiting = False
        ms = min(state.ms - state.done_ms, state.cut_ms)
        wave = waveform(state.body, state.segments, ms)
        if state.poison and not state.segments:
            wave[0] = POISON[state.poison]
        self._arena.write(lease, wave)
        start = state.done_ms
        state.ready = SegmentReady(job, lease, state.segments, state.channel, start, start + ms, ms, -20.0, len(wave))
        state.done_ms += ms
        state.segments += 1

    def cancel(self, job: int) -> None:
        """Stop a job, if it has not ended; no further event of it is taken."""
        if self._jobs.pop(job, None) is not None:
            self._starting += 1

    def die(self, job: int) -> None:
        """Lose a job, as when its child is killed."""
        state = self._jobs[job]
        state.killed, state.waiting = True, False

    def take(self, now: float) -> Sequence[DecoderEvent]:
        """Events since the last take, at most one for each job."""
        del now  # nothing hangs here
        self._starting = 0
        if self.held or not self._jobs:
            return ()
        found = [(number, job, self._next(number, job)) for number, job in self._jobs.items()]
        for number, job, event in found:
            if isinstance(event, Decoded | DecodeFailed):
                del self._jobs[number]
                self._starting += job.killed
        return [event for _, _, event in found if event is not None]

    def _next(self, number: int, job: _Job) -> DecoderEvent | None:
        if job.killed:
            return DecodeFailed(number, Reason.KILLED_WORKER, "the decoder was ended by SIGKILL", transient=True)
        if job.waiting or number in self.busy:
            return None
        if job.ready is not None:
            ready, job.ready = job.ready, None
            return ready
        left = job.ms - job.done_ms
        if job.fail is not None and left <= job.cut_ms:
            return DecodeFailed(number, job.fail, "it was made to fail")
        if left and not job.silent:
            job.waiting = True
            return SlotWanted(number)
        self.decoded.append(job.body)
        return Decoded(number, AudioInfo(job.ms, SAMPLE_RATE, 1, "json"), job.segments, job.done_ms)


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        spec = json.loads(body)
    except ValueError:
        spec = None
    return spec if isinstance(spec, dict) else {"fail": Reason.FORMAT_UNSUPPORTED}
