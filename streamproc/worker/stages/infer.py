"""Infer: from segments to the analysis of a recording. Batching has its one owner here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from streamproc.arena import SLOT_SAMPLES, Arena
from streamproc.errors import Fatal, FatalError, PoisonError, Reason, RecordError, Stage
from streamproc.records.analysis import MIX, Analysis, AudioInfo, SegmentAnalysis, best, whole
from streamproc.records.compute import BatchDone, DeviceDied, DeviceEvent, DeviceReady, ItemError, Scored, SegmentHandle
from streamproc.records.decoding import Decoded, SegmentReady
from streamproc.records.embedding import Computed, of_channels
from streamproc.records.identity import ModelIdentity
from streamproc.records.recording import RecordingEvent
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.schedule import choose
from streamproc.worker.ports import Device
from streamproc.worker.stages.items import Fetched
from streamproc.worker.stages.resume import Progress, Resume

log = get_log(__name__)

MOST_BATCHES = 2
"""One that runs and one that waits on the device, so that it never idles between two."""
MOST_STRIKES = 3
"""Deaths of the device with one segment alone on it that are that one's, if the device has computed another."""
AHEAD = MOST_BATCHES + 1
"""Full batches of one recording that may be in memory: those on the device, and the next one."""


@dataclass(slots=True)
class _Recording:
    """What is known so far of one recording that is being computed."""

    fetched: Fetched
    at: float
    progress: Progress
    decoded: Decoded | None = None
    segments: list[Computed] = field(default_factory=list)
    waiting: int = 0
    """Samples of it that wait for the device, or are on it."""
    resumed_ms: int = 0
    """Of the segments that a former owner finished."""
    failed: bool = False

    @property
    def event(self) -> RecordingEvent:
        """What was announced of it."""
        return self.fetched.admitted.event


@dataclass(frozen=True, slots=True)
class _Pending:
    """One segment that waits for the device, or is on it."""

    recording: _Recording
    ready: SegmentReady
    suspect: bool = False
    """Whether it was on the device when that died: it is alone there from then on."""
    strikes: int = 0

    @property
    def handle(self) -> SegmentHandle:
        """What the device is told of it."""
        return SegmentHandle(self.ready.lease, self.ready.samples, self.recording.event.wants_embedding)


class Infer:
    """Gathers segments, runs them in compute batches, and puts the recordings together again."""

    def __init__(
        self,
        arena: Arena,
        device: Device,
        identity: ModelIdentity,
        resume: Resume,
        batches: MicroBatches,
        metrics: Metrics,
    ) -> None:
        self._arena = arena
        self._device = device
        self._identity = identity
        self._resume = resume
        self._batches = batches
        self._metrics = metrics
        self._recordings: dict[tuple[int, int], _Recording] = {}
        self._pending: list[_Pending] = []
        self._running: dict[int, list[_Pending]] = {}
        self._last_batch = 0
        self._worked = False
        """Whether the device has computed anything: one that warms up, and dies of all that it is given, has not."""
        self.loaded = True
        """Whether the network is: not from a death of the device on until another is warm. Safe from any thread."""
        self.computed: Callable[[Fetched, Analysis, Instant], None]
        self.failed: Callable[[Fetched, RecordError], None]
        self.dropped: Callable[[Fetched], None]

    def on_device(self, taken: Taken) -> bool:
        """Whether a record is decoded and all that it still needs is on the device."""
        recording = self._recordings.get(taken.ident)
        return (
            recording is not None
            and recording.decoded is not None
            and all(pending.recording is not recording for pending in self._pending)
        )

    def ahead(self, taken: Taken) -> bool:
        """Whether so much of a recording waits for the device that more of it would only take memory."""
        recording = self._recordings.get(taken.ident)
        if recording is None:  # as it is for nearly all: they are one segment
            return False
        return recording.waiting >= AHEAD * SLOT_SAMPLES * self._device.most_items(SLOT_SAMPLES)

    def segment(self, fetched: Fetched, ready: SegmentReady, now: Instant) -> None:
        """Take a segment of a recording, which may be decoding still."""
        recording = self._recording(fetched, now)
        scored = self._resume.decoded(fetched.taken.ident, recording.progress, ready, recording.segments)
        if scored is None:
            recording.waiting += ready.samples
            self._pending.append(_Pending(recording, ready))
        else:
            self._take_up(recording, ready, scored)

    def decoded(self, fetched: Fetched, decoded: Decoded, now: Instant) -> None:
        """Note that the last segment of a recording was given."""
        recording = self._recording(fetched, now)
        recording.decoded = decoded
        self._finish(recording, now)

    def abandon(self, fetched: Fetched) -> None:
        """Forget a recording whose decoding failed or whose record is not ours any more."""
        recording = self._recordings.pop(fetched.taken.ident, None)
        if recording is None:
            return
        recording.failed = True
        self._resume.keep(recording.progress)
        for pending in self._pending:
            if pending.recording is recording:
                self._arena.release(pending.ready.lease)
        self._pending = [pending for pending in self._pending if pending.recording is not recording]

    def step(self, now: Instant) -> bool:
        """Take what the device finished and keep it busy."""
        events = self._device.take(now.mono)
        for event in events:
            self._take(event, now)
        for ident in self._resume.step(self._progress):
            self._look_again(self._recordings[ident], now)
        for recording in [r for r in self._recordings.values() if not self._batches.wanted(r.fetched.taken)]:
            # While it decodes still, the stage before sees the same and says so.
            if recording.decoded is not None:
                self.abandon(recording.fetched)
                self.dropped(recording.fetched)
        return self._submit() or bool(events)

    def _recording(self, fetched: Fetched, now: Instant) -> _Recording:
        ident = fetched.taken.ident
        if (recording := self._recordings.get(ident)) is None:
            recording = self._recordings[ident] = _Recording(
                fetched, now.mono, Progress(fetched.key, fetched.admitted.event.wants_embedding)
            )
        return recording

    def _progress(self, ident: tuple[int, int]) -> Progress | None:
        recording = self._recordings.get(ident)
        return None if recording is None else recording.progress

    def _look_again(self, recording: _Recording, now: Instant) -> None:
        """Take out of what waits for the device those segments whose values have come to be known."""
        waiting = []
        for pending in self._pending:
            scored = self._resume.known(recording.progress, pending.ready) if pending.recording is recording else None
            if scored is None:
                waiting.append(pending)
            else:
                recording.waiting -= pending.ready.samples
                self._take_up(recording, pending.ready, scored)
        self._pending = waiting
        self._finish(recording, now)

    def _take_up(self, recording: _Recording, ready: SegmentReady, scored: Scored) -> None:
        """Go on from what a former owner finished."""
        self._arena.release(ready.lease)
        recording.segments.append(self._computed(ready, scored))
        recording.resumed_ms += ready.end_ms - ready.start_ms

    def _submit(self) -> bool:
        submitted = False
        while self._pending and len(self._running) < MOST_BATCHES:
            self._pending.sort(key=lambda p: (p.recording.fetched.taken.ident, p.ready.index))
            if not (places := self._places()):
                break
            chosen = [p for place, p in enumerate(self._pending) if place in places]
            self._pending = [p for place, p in enumerate(self._pending) if place not in places]
            self._last_batch += 1
            self._running[self._last_batch] = chosen
            self._device.submit(self._last_batch, [pending.handle for pending in chosen])
            submitted = True
        return submitted

    def _places(self) -> set[int]:
        """Which of those that wait are computed next; none while a suspect has to be alone."""
        if any(pending.suspect for batch in self._running.values() for pending in batch):
            return set()
        suspects = [place for place, pending in enumerate(self._pending) if pending.suspect]
        if not suspects:
            return set(choose([pending.ready.samples for pending in self._pending], self._device.most_items))
        if self._running:
            return set()
        if self._worked:
            return {suspects[0]}
        # Others are tried in between: the first that is computed shows that the device can.
        return {min(range(len(self._pending)), key=lambda place: (self._pending[place].strikes, place))}

    def _take(self, event: DeviceEvent, now: Instant) -> None:
        match event:
            case DeviceReady(identity):
                if identity != self._identity:
                    message = f"the device came back with another model: {identity}, not {self._identity}"
                    raise FatalError(message, Fatal.MODEL_CHANGED)
                self.loaded = True
            case DeviceDied(ids, detail, blameless):
                self.loaded = False
                self._metrics.device_restarts.inc()
                log.warning("device process died, its batches run again", detail=detail, count=len(ids))
                lost = [pending for ident in ids for pending in self._running.pop(ident)]
                self._again(lost, detail, blameless=blameless)
            case BatchDone(ident, items, seconds):
                self._metrics.device_batch_seconds.observe(seconds)
                self._worked = True
                chosen = self._running.pop(ident)
                if len(items) != len(chosen):
                    raise FatalError(f"the device gave {len(items)} values for {len(chosen)} segments")
                for pending, item in zip(chosen, items, strict=True):
                    self._arena.release(pending.ready.lease)
                    self._scored(pending, item, now)

    def _again(self, lost: list[_Pending], detail: str, *, blameless: bool) -> None:
        """Compute what was on a device that died, each alone: the waveforms are in their slots still.

        Raises FatalError when one is to blame, unless the device is.
        """
        for pending in lost:
            strikes = pending.strikes + (len(lost) == 1 and not blameless)
            if pending.recording.failed:
                self._arena.release(pending.ready.lease)
            elif strikes < MOST_STRIKES:
                self._pending.append(replace(pending, suspect=True, strikes=strikes))
            elif not self._worked:
                message = f"{detail}, {strikes} times with one segment alone on it, and nothing was computed before"
                raise FatalError(message, Fatal.DEVICE_KILLED)
            else:
                self._arena.release(pending.ready.lease)
                self._condemn(pending, detail)

    def _condemn(self, pending: _Pending, detail: str) -> None:
        fetched, ready = pending.recording.fetched, pending.ready
        message = (
            f"{MOST_STRIKES} device processes died with segment {ready.index} at {ready.start_ms} ms alone on them, "
            f"last: {detail}. Keep the recording and report it"
        )
        self.abandon(fetched)
        self.failed(fetched, PoisonError(Reason.KILLED_WORKER, Stage.INFER, message))

    def _scored(self, pending: _Pending, item: Scored | ItemError, now: Instant) -> None:
        recording, ready = pending.recording, pending.ready
        recording.waiting -= ready.samples
        if recording.failed:
            return
        if isinstance(item, ItemError):
            message = f"segment {ready.index} at {ready.start_ms} ms: {item.message}"
            self.abandon(recording.fetched)
            self.failed(recording.fetched, PoisonError(Reason.MODEL_FAILED, Stage.INFER, message))
            return
        computed = self._computed(ready, item)
        recording.segments.append(computed)
        self._resume.finished(recording.progress, computed)
        self._finish(recording, now)

    def _computed(self, ready: SegmentReady, scored: Scored) -> Computed:
        label, confidence = best(self._identity.labels, scored.scores)
        segment = SegmentAnalysis(
            index=ready.index,
            channel=ready.channel,
            start_ms=ready.start_ms,
            end_ms=ready.end_ms,
            speech_ms=ready.speech_ms,
            level_dbfs=ready.level_dbfs,
            label=label,
            confidence=confidence,
            scores=scored.scores,
        )
        return Computed(segment, scored.embedding)

    def _finish(self, recording: _Recording, now: Instant) -> None:
        decoded = recording.decoded
        if decoded is None or len(recording.segments) < decoded.segments:
            return
        del self._recordings[recording.fetched.taken.ident]
        segments = [segment for segment, _ in recording.segments]
        embeddings = self._embeddings(recording, decoded.info)
        analysis = whole(self._identity.labels, decoded.info, decoded.speech_ms, segments, embeddings)
        self._metrics.computed_audio_seconds.inc((decoded.info.duration_ms - recording.resumed_ms) / 1000)
        if recording.resumed_ms:
            self._metrics.resumed_audio_seconds.inc(recording.resumed_ms / 1000)
        self._metrics.stage_seconds[Stage.INFER].observe(now.mono - recording.at)
        self.computed(recording.fetched, analysis, now)

    def _embeddings(self, recording: _Recording, info: AudioInfo) -> tuple[bytes, ...]:
        if not recording.event.wants_embedding:
            return ()
        channels = range(info.channel_count) if recording.event.channels == "split" else (MIX,)
        return of_channels(recording.segments, channels, self._identity.embed_dim)
