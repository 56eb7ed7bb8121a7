"""Prepare: from bytes to segments in the arena, in a decoder child."""

from collections import deque
from collections.abc import Callable

from streamproc.arena import Arena, Lease
from streamproc.errors import PoisonError, Reason, RecordError, Stage, TransientError
from streamproc.records.decoding import Decoded, DecodeFailed, DecodeJob, DecoderEvent, SegmentReady, SlotWanted
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.credits import Credits, Weight
from streamproc.worker.core.instant import Instant
from streamproc.worker.ports import Decoders
from streamproc.worker.stages.items import Fetched

log = get_log(__name__)


MOST_DEATHS = 3
"""Children that may end with one recording in one try of it. Each had that one alone."""


class Prepare:
    """Feeds the decoders and leases the slots that their segments go to, oldest recording first."""

    def __init__(
        self, arena: Arena, decoders: Decoders, batches: MicroBatches, credit: Credits, metrics: Metrics
    ) -> None:
        self._arena = arena
        self._decoders = decoders
        self._batches = batches
        self._credit = credit
        self._metrics = metrics
        self._jobs: dict[int, Fetched] = {}
        self._granted: dict[int, Lease] = {}
        self._wanting: list[int] = []
        self._last_job = 0
        self.inbox: deque[Fetched] = deque()
        self.ahead: Callable[[Taken], bool]
        self.segment: Callable[[Fetched, SegmentReady, Instant], None]
        self.decoded: Callable[[Fetched, Decoded, Instant], None]
        self.failed: Callable[[Fetched, RecordError], None]
        self.again: Callable[[Fetched, int], None]
        """With how many children ended with it. Its bytes are fetched anew: none are kept once a child has them."""
        self.dropped: Callable[[Fetched], None]

    def step(self, now: Instant) -> bool:
        """Take what the decoders made, grant slots, start what is waiting."""
        events = self._decoders.take(now.mono)
        for event in events:
            self._take(event, now)
        for job, fetched in list(self._jobs.items()):
            if not self._batches.wanted(fetched.taken):
                self._decoders.cancel(job)
                self._forget(job)
                self.dropped(fetched)
        granted = self._grant()
        started = self._start()
        return bool(events) or granted or started

    def let_go(self) -> None:
        """Keep no bytes of a record that is not wanted any more until a decoder is idle."""
        for _ in range(len(self.inbox)):
            fetched = self.inbox.popleft()
            if self._batches.wanted(fetched.taken):
                self.inbox.append(fetched)
            else:
                self.dropped(fetched)

    def _take(self, event: DecoderEvent, now: Instant) -> None:
        fetched = self._jobs[event.job]
        match event:
            case SlotWanted(job):
                self._wanting.append(job)
            case SegmentReady(job):
                del self._granted[job]
                self.segment(fetched, event, now)
            case Decoded(job, info):
                self._forget(job)
                self._credit.adjust(fetched.taken.ident, Weight(0, info.duration_ms))
                self._metrics.stage_seconds[Stage.PREPARE].observe(now.mono - fetched.at)
                self.decoded(fetched, event, now)
            case DecodeFailed(job, Reason.KILLED_WORKER, message):
                self._forget(job)
                self._died(fetched, message)
            case DecodeFailed(job, reason, message, transient):
                self._forget(job)
                kind = TransientError if transient else PoisonError
                self.failed(fetched, kind(reason, Stage.PREPARE, message))

    def _died(self, fetched: Fetched, message: str) -> None:
        deaths = fetched.admitted.deaths + 1
        if deaths < MOST_DEATHS:
            log.warning("a decoder died, its recording is tried again", attempt=deaths, detail=message)
            self.again(fetched, deaths)
        else:
            # A kernel short of memory takes those of all recordings at a time, and time heals that.
            message = f"{deaths} decoders in a row died of it, last: {message}. If it goes on, keep the recording"
            self.failed(fetched, TransientError(Reason.KILLED_WORKER, Stage.PREPARE, message))

    def _grant(self) -> bool:
        """Lease slots to who wants one; a recording that is far ahead of the device waits, however many are free.

        Unless an older one waits for a decoder: then it goes on, so that its decoder is done sooner.
        """
        self._wanting.sort()
        granted = False
        for job in list(self._wanting):
            taken = self._jobs[job].taken
            if self.ahead(taken) and not any(waiting.taken.ident < taken.ident for waiting in self.inbox):
                continue
            if (lease := self._arena.lease()) is None:
                break
            self._wanting.remove(job)
            self._granted[job] = lease
            self._decoders.grant(job, lease)
            granted = True
        return granted

    def _start(self) -> bool:
        started = False
        while self.inbox and self._decoders.idle():
            fetched = self.inbox.popleft()
            if not self._batches.wanted(fetched.taken):
                self.dropped(fetched)
                continue
            self._last_job += 1
            # The bytes are the decoder's now; what stays here only says whose they were.
            kept = Fetched(fetched.admitted, b"", fetched.sha256, fetched.key, fetched.at)
            self._jobs[self._last_job] = kept
            self._decoders.submit(DecodeJob(self._last_job, fetched.body, fetched.admitted.event.channels))
            started = True
        return started

    def _forget(self, job: int) -> None:
        del self._jobs[job]
        if job in self._wanting:
            self._wanting.remove(job)
        if (lease := self._granted.pop(job, None)) is not None:
            self._arena.release(lease)
