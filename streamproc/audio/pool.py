"""The pool of decoder children: satisfies the port ``Decoders``.

No threads, no clock: time comes with ``start`` and ``take``, and what happens in between counts from the last of them.
Call everything from one thread, which must live as long as the pool: a child dies with the thread that started it.

Leases belong to the worker. The pool neither takes nor gives back a slot: a lease that SegmentReady named is the
worker's whatever follows, and a lease that was granted and not named is free again once DecodeFailed or Decoded of its
job was taken, or ``cancel`` returned. The child is dead or idle by then and writes to no slot.
"""

from collections.abc import Sequence

from streamproc.arena import Arena, Lease
from streamproc.audio.decoder import Decoder
from streamproc.audio.limits import Limits
from streamproc.errors import Fatal, FatalError
from streamproc.records.decoding import DecodeJob, DecoderEvent
from streamproc.settings import AudioSettings
from streamproc.telemetry.log import get_log

log = get_log(__name__)

FALSE_STARTS = 3
"""Children in a row that end before they can work: a library is missing or the memory limit is below what they need."""


def limits_of(settings: AudioSettings) -> Limits:
    """The part of the settings that a child needs."""
    return Limits(
        max_seconds=settings.max_seconds,
        min_sample_rate=settings.min_sample_rate,
        max_sample_rate=settings.max_sample_rate,
        max_channels=settings.max_channels,
        memory_bytes=settings.decoder_memory_bytes,
        timeout_s=settings.decode_timeout_s,
    )


class DecoderPool:
    """As many children as ``settings.decoders``; one that dies or outlasts its time is replaced."""

    def __init__(self, arena: Arena, settings: AudioSettings) -> None:
        self.restarts = 0
        """Children that were replaced, whatever the cause."""
        self._arena = arena
        self._limits = limits_of(settings)
        self._size = settings.decoders
        self._decoders: list[Decoder] = []
        self._now = 0.0
        self._false_starts = 0

    def start(self, now: float) -> None:
        """Start the children and return at once; each counts as idle when it has said hello."""
        self._now = now
        self._decoders = [self._spawn() for _ in range(self._size)]

    def close(self) -> None:
        """Kill the children. What they were doing is lost without an event."""
        for decoder in self._decoders:
            decoder.kill()
        self._decoders = []

    @property
    def sandbox(self) -> str | None:
        """The weakest level of the children: ``full``, ``rlimits`` (no seccomp here), None before the first hello."""
        levels = {decoder.level for decoder in self._decoders} - {None}
        return "rlimits" if "rlimits" in levels else next(iter(levels), None)

    def filenos(self) -> frozenset[int]:
        """Descriptors that become readable when ``take`` has something to do. Changes with every restart."""
        return frozenset(decoder.fileno for decoder in self._decoders)

    def deadline(self) -> float | None:
        """When ``take`` has to be called although nothing became readable; None while no timer runs."""
        deadlines = [d for decoder in self._decoders if (d := decoder.deadline) is not None]
        return min(deadlines, default=None)

    def idle(self) -> int:
        """How many jobs can be submitted now."""
        return sum(decoder.idle for decoder in self._decoders)

    def submit(self, job: DecodeJob) -> None:
        """Start a job on an idle child. Never blocks. Raises LookupError when none is idle."""
        decoder = next((decoder for decoder in self._decoders if decoder.idle), None)
        if decoder is None:
            message = f"job {job.job} was submitted while no decoder is idle"
            raise LookupError(message)
        decoder.submit(job, self._now)

    def grant(self, job: int, lease: Lease) -> None:
        """Answer a SlotWanted. A job that has ended meanwhile needs none: its lease is free again at once."""
        for decoder in self._decoders:
            if decoder.job == job:
                decoder.grant(lease, self._now)

    def cancel(self, job: int) -> None:
        """Kill the child that has the job and replace it; no further event of it is taken.

        Waits for the child's end, a moment, so that a slot granted to it can be released afterwards.
        """
        for index, decoder in enumerate(self._decoders):
            if decoder.job == job:
                decoder.kill()
                self._replace(index)

    def take(self, now: float) -> Sequence[DecoderEvent]:
        """Events since the last take, in order for each job. Replaces children that died or outlasted their time.

        Raises FatalError when children end before they can work, three in a row.
        """
        self._now = now
        events: list[DecoderEvent] = []
        for index, decoder in enumerate(self._decoders):
            starting = decoder.level is None
            events += decoder.read(now)
            if starting and decoder.level is not None:
                self._false_starts = 0
            if not decoder.ended(now):
                continue
            if failed := decoder.reap():
                events.append(failed)
            # Also where its recording goes to a lane, whose reason does not tell of the child.
            log.warning("a decoder child was replaced", pid=decoder.pid, detail=decoder.why)
            if decoder.level is None:
                self._count_false_start()
            self._replace(index)
        return events

    def _count_false_start(self) -> None:
        self._false_starts += 1
        if self._false_starts == FALSE_STARTS:
            self.close()
            message = (
                f"{FALSE_STARTS} decoder children in a row ended before they could work; what they said is on stderr. "
                f"Try `python -c 'import streamproc.audio.child'`, or raise audio.decoder_memory_bytes"
            )
            raise FatalError(message, Fatal.DECODERS_FAIL)

    def _replace(self, index: int) -> None:
        self.restarts += 1
        self._decoders[index] = self._spawn()

    def _spawn(self) -> Decoder:
        return Decoder(self._arena, self._limits, self._now)
