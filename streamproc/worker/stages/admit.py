"""Admit: from polled records to micro-batches of events that may be acted on."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from streamproc.errors import (
    DependencyDownError,
    FatalError,
    PoisonError,
    Reason,
    RecordError,
    Stage,
    UnresolvedError,
)
from streamproc.records.identity import ModelIdentity, fingerprint
from streamproc.records.lane import Attempt, original_headers, read_attempt
from streamproc.records.record import Headers, Record, TopicPartition
from streamproc.records.recording import CHANNELS, RecordingEvent, check_object
from streamproc.records.topics import MAX_INPUT_BYTES
from streamproc.settings import Settings
from streamproc.telemetry.metrics import Dependency, Metrics
from streamproc.worker.core.backlog import Backlog, Load
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.offsets import Offsets
from streamproc.worker.core.price import Prices
from streamproc.worker.core.retry import Polled
from streamproc.worker.core.strikes import CONDEMNED_AFTER, Strikes
from streamproc.worker.ports import Calls, EventCodec
from streamproc.worker.stages.items import Admitted
from streamproc.worker.stages.weigh import Verdict, load, share

REGISTRY_WAIT_S = 1.0


@dataclass(slots=True)
class _Waiting:
    """A polled record that waits for its micro-batch. ``at`` is when it was polled (monotonic, seconds)."""

    polled: Polled
    at: float
    judged: tuple[Verdict, Load] | None = None
    """What its event came to, and what it asks for, once it was looked at."""


class Admit:
    """Judges each record on its event alone; nothing that an event names is touched before it passed here.

    In flight are at most ``flow.micro_batches`` micro-batches, each of which the device is predicted to finish in its
    share of a drain. What was polled beyond that waits, untouched: an event is looked at when its record may go on, so
    that the next owner knows whom to suspect should this one end of it.
    """

    def __init__(
        self,
        settings: Settings,
        identity: ModelIdentity,
        codec: EventCodec,
        lookups: Calls[Taken, None],
        batches: MicroBatches,
        offsets: Offsets,
        prices: Prices,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._lookups = lookups
        self._batches = batches
        self._offsets = offsets
        self._metrics = metrics
        self._identity = identity
        self._fingerprints = {channels: fingerprint(identity, channels) for channels in CHANNELS}
        self._prices = prices
        self._backlog: Backlog[_Waiting] = Backlog(share(settings), _source, self._weigh)
        self._stopped = False
        self._lanes = settings.topics.lanes
        self._unresolved: deque[tuple[Taken, float]] = deque()
        self.strikes: Strikes
        self.held: Callable[[], bool]
        self.give: Callable[[Admitted], None]
        self.fail: Callable[[Taken, RecordError], None]

    @property
    def room(self) -> bool:
        """Whether more may be polled: what waits here would have to wait for more than its turn."""
        return self._free and not self._backlog

    @property
    def _free(self) -> bool:
        """Whether another micro-batch may be begun."""
        return len(self._batches) < self._settings.flow.micro_batches and not self.held()

    @property
    def waiting(self) -> int:
        """How many records wait for a micro-batch."""
        return len(self._backlog)

    def accept(self, polled: Sequence[Polled], now: Instant) -> None:
        """Take polled records in; each becomes part of a micro-batch once there is room, and is given on or fails."""
        if self._stopped:
            return
        for one in polled:
            if self._offsets.take(one.record.source, one.epoch, one.record.offset):
                self._backlog.add(_Waiting(one, now.mono))
                self.strikes.came(one.record.source, one.epoch, one.record.offset)
        self._fill(now)

    def again(self, taken: Taken, now: Instant) -> None:
        """Go on with a record that failed for now, from its event on."""
        self._pass_on(taken, self._judge(taken.record), now)

    def probe(self, polled: Sequence[Polled], now: Instant) -> tuple[Taken, ...]:
        """Begin a micro-batch beside the backlog, of records that are only tried: no offset of theirs is taken."""
        if self._stopped:
            return ()
        return self._open([_Waiting(one, now.mono) for one in polled], now, probe=True)

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        """Forget what waits of these partitions."""
        self._backlog.keep(lambda waiting: _source(waiting) not in partitions)

    def stop(self) -> None:
        """Begin nothing more: what waits, and whatever still comes, is the next owner's."""
        self._stopped = True
        self._backlog.keep(lambda _: False)
        self.strikes.stop()

    def step(self, now: Instant) -> bool:
        """Go on with records whose schema has been asked for."""
        answers = self._lookups.take()
        for taken, answer in answers:
            if isinstance(answer, DependencyDownError):
                self._metrics.dependency_down[Dependency.REGISTRY].set(1)
                self._unresolved.append((taken, now.mono + REGISTRY_WAIT_S))
            elif isinstance(answer, Exception):
                raise FatalError(f"asking the registry failed in an unforeseen way: {answer!r}") from answer
            else:
                self._metrics.dependency_down[Dependency.REGISTRY].set(0)
                self._pass_on(taken, self._judge(taken.record), now)
        asked = False
        while self._unresolved and self._unresolved[0][1] <= now.mono:
            taken, _ = self._unresolved.popleft()
            asked = True
            if self._batches.wanted(taken):
                self._resolve(taken)
        return self._fill(now) or asked or bool(answers)

    def _fill(self, now: Instant) -> bool:
        filled = False
        while self._free and (cut := self._backlog.cut(self._may_go_on, self._goes_last)):
            self._open(cut, now)
            filled = True
        return filled

    def _may_go_on(self, waiting: _Waiting) -> bool:
        record = waiting.polled.record
        return self.strikes.take(record.source, waiting.polled.epoch, record.offset)

    def _goes_last(self, waiting: _Waiting) -> bool:
        record = waiting.polled.record
        return self.strikes.last(record.source, waiting.polled.epoch, record.offset)

    def _weigh(self, waiting: _Waiting) -> Load:
        return self._look(waiting)[1]

    def _look(self, waiting: _Waiting) -> tuple[Verdict, Load]:
        """Look at an event once, and at none that is said to end whoever does."""
        if waiting.judged is None:
            record = waiting.polled.record
            condemned = self.strikes.condemned(record.source, waiting.polled.epoch, record.offset)
            verdict = _killed_worker() if condemned else self._judge(record)
            waiting.judged = verdict, load(verdict, self._prices)
        return waiting.judged

    def _open(self, cut: Sequence[_Waiting], now: Instant, *, probe: bool = False) -> tuple[Taken, ...]:
        batch = self._batches.next_ident()
        entries = tuple(
            Taken(one.polled.record, one.polled.epoch, self._attempt(one.polled.record), batch, index, one.at, probe)
            for index, one in enumerate(cut)
        )
        self._batches.open(entries)
        for taken, one in zip(entries, cut, strict=True):
            self._pass_on(taken, self._look(one)[0], now)
        return entries

    def _pass_on(self, taken: Taken, verdict: Verdict, now: Instant) -> None:
        if not self._batches.wanted(taken):
            return
        if verdict is None:
            self._resolve(taken)
            return
        self._metrics.stage_seconds[Stage.ADMIT].observe(now.mono - taken.taken_at)
        if isinstance(verdict, RecordError):
            self.fail(taken, verdict)
        else:
            self.give(Admitted(taken, verdict, self._fingerprints[verdict.channels], now.mono))

    def _resolve(self, taken: Taken) -> None:
        value = taken.record.value or b""
        self._lookups.submit(taken, lambda: self._codec.resolve(value))

    def _attempt(self, record: Record) -> Attempt:
        try:
            return read_attempt(record, self._lanes)
        except PoisonError:
            # _judge says the same of it; its own place is then the best origin there is.
            return Attempt(record.topic, record.partition, record.offset, 0, record.timestamp_ms)

    def _judge(self, record: Record) -> Verdict:
        """The event, why there is none, or None while the registry has to be asked."""
        flow = self._settings.flow
        try:
            check_headers(original_headers(record, self._lanes), flow.max_header_count, flow.max_header_bytes)
            read_attempt(record, self._lanes)
            value = announced(record)
            if not self._codec.known(value):
                return None
            event = self._codec.decode(value)
            check_object(event, self._settings.storage.buckets)
            self._check_declared(event)
            self._check_offered(event)
        except PoisonError as error:
            return error
        except UnresolvedError:
            return None  # forgotten since it was known: a call that resolves another schema took its place
        return event

    def _check_declared(self, event: RecordingEvent) -> None:
        audio = self._settings.audio
        if (event.size_bytes or 0) > audio.max_object_bytes:
            raise PoisonError(
                Reason.OBJECT_TOO_LARGE,
                Stage.ADMIT,
                f"declared size {event.size_bytes} is over audio.max_object_bytes={audio.max_object_bytes}",
            )
        if (event.duration_ms or 0) > audio.max_seconds * 1000:
            raise PoisonError(
                Reason.AUDIO_TOO_LONG,
                Stage.ADMIT,
                f"declared duration {event.duration_ms} ms is over audio.max_seconds={audio.max_seconds:g}",
            )

    def _check_offered(self, event: RecordingEvent) -> None:
        if event.wants_embedding and not self._identity.embed_dim:
            raise PoisonError(
                Reason.EVENT_INVALID,
                Stage.ADMIT,
                f"outputs names embedding, and {self._identity.name} ({self._identity.engine}) has none: announce it "
                f"without, or set model.engine to one that has",
            )


def _source(waiting: _Waiting) -> TopicPartition:
    return waiting.polled.record.source


def _killed_worker() -> PoisonError:
    message = (
        f"{CONDEMNED_AFTER} workers ended while this record alone was in flight. It was not tried again: keep its "
        f"recording, look for how they ended (core dump, out of memory), and replay it once that is mended"
    )
    return PoisonError(Reason.KILLED_WORKER, Stage.ADMIT, message)


def announced(record: Record) -> bytes:
    """The record's value. Raises PoisonError(event_invalid) for a tombstone, and for what no lane would take."""
    if record.value is None:
        raise PoisonError(Reason.EVENT_INVALID, Stage.ADMIT, "a tombstone announces no recording")
    size = len(record.value) + len(record.key or b"")
    if size > MAX_INPUT_BYTES:
        message = f"key and value unpack to {size} bytes; at most {MAX_INPUT_BYTES} are taken"
        raise PoisonError(Reason.EVENT_INVALID, Stage.ADMIT, message)
    return record.value


def check_headers(headers: Headers, most: int, most_bytes: int) -> None:
    """Raise PoisonError(headers_too_large) before anything reads them."""
    size = sum(len(name) + len(value or b"") for name, value in headers)
    if len(headers) > most or size > most_bytes:
        raise PoisonError(
            Reason.HEADERS_TOO_LARGE,
            Stage.ADMIT,
            f"{len(headers)} headers of {size} bytes; at most {most} and {most_bytes} bytes are taken",
        )
