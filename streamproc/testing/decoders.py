"""Decoders whose recordings are made of JSON: ``{"ms": 3000, "level": 0.1}``, or ``{"fail": "decode_failed"}``."""

import hashlib
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.arena import SAMPLE_RATE, SLOT_SECONDS, ArenaMap, Lease
from streamproc.errors import Reason
from streamproc.records.analysis import AudioInfo
from streamproc.records.decoding import Decoded, DecodeFailed, DecodeJob, DecoderEvent, SegmentReady, SlotWanted


def recording(ms: int = 1000, **more: object) -> bytes:
    """The bytes of a recording that ``FakeDecoders`` understands; ``more`` makes it differ from others."""
    return json.dumps({"ms": ms, **more}).encode()


@dataclass(slots=True)
class _Job:
    body: bytes
    ms: int
    done_ms: int = 0
    segments: int = 0
    waiting: bool = False


class FakeDecoders:
    """Cuts at 15 s, asks for a slot per segment, and can lose jobs as a killed child does (``die``)."""

    def __init__(self, arena: ArenaMap, children: int = 2) -> None:
        self._arena = arena
        self._children = children
        self._jobs: dict[int, _Job] = {}
        self._events: deque[DecoderEvent] = deque()
        self.held = False
        """While True nothing is decoded."""
        self.decoded: list[bytes] = []

    def idle(self) -> int:
        """Children without a job."""
        return self._children - len(self._jobs)

    def submit(self, job: DecodeJob) -> None:
        """Start a job."""
        spec = json.loads(job.body)
        if "fail" in spec:
            self._jobs[job.job] = _Job(job.body, 0)
            self._end(DecodeFailed(job.job, Reason(spec["fail"]), "it was made to fail"))
        else:
            self._jobs[job.job] = _Job(job.body, spec["ms"])

    def grant(self, job: int, lease: Lease) -> None:
        """Fill a slot."""
        state = self._jobs[job]
        state.waiting = False
        ms = min(state.ms - state.done_ms, SLOT_SECONDS * 1000)
        digest = hashlib.sha256(state.body + bytes([state.segments % 256])).digest()
        wave = np.frombuffer(digest, np.uint8).astype(np.float32) / 255
        samples = ms * SAMPLE_RATE // 1000
        self._arena.write(lease, np.resize(wave, samples))
        start = state.done_ms
        self._events.append(
            SegmentReady(job, lease, state.segments, -1, start, start + ms, ms, -20.0, samples),
        )
        state.done_ms += ms
        state.segments += 1

    def cancel(self, job: int) -> None:
        """Stop a job."""
        del self._jobs[job]
        self._events = deque(event for event in self._events if event.job != job)

    def die(self, job: int) -> None:
        """Lose a job, as when its child is killed."""
        self._events = deque(event for event in self._events if event.job != job)
        self._end(DecodeFailed(job, Reason.DECODE_FAILED, "the decoder was killed", transient=True))

    def take(self, now: float) -> Sequence[DecoderEvent]:
        """Events since the last take."""
        del now  # nothing hangs here
        if self.held:
            return ()
        for number, job in list(self._jobs.items()):
            if job.waiting or any(event.job == number for event in self._events):
                continue
            if job.done_ms < job.ms and not self._silent(job):
                job.waiting = True
                self._events.append(SlotWanted(number))
            else:
                self.decoded.append(job.body)
                info = AudioInfo(job.ms, SAMPLE_RATE, 1, "json")
                self._end(Decoded(number, info, job.segments, job.done_ms))
        events, self._events = self._events, deque()
        return events

    @staticmethod
    def _silent(job: _Job) -> bool:
        return bool(json.loads(job.body).get("silent")) or job.ms < 25  # noqa: PLR2004  # the network's receptive field in ms

    def _end(self, event: Decoded | DecodeFailed) -> None:
        del self._jobs[event.job]
        self._events.append(event)
