"""Fetch: from an event to the bytes it names, checked against what it declares."""

import hashlib
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from streamproc.errors import (
    STORE_CAUSES,
    Cause,
    FatalError,
    PoisonError,
    Reason,
    RecordError,
    Stage,
    StoreError,
    TransientError,
    Verdict,
)
from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import Tags
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Dependency, Metrics
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.canary import Canary, Health
from streamproc.worker.core.credits import Credits
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.strikes import Strikes
from streamproc.worker.ports import Calls, ObjectStore
from streamproc.worker.stages.items import Admitted, Fetched
from streamproc.worker.stages.weigh import reserve, weigh

log = get_log(__name__)


class Content(NamedTuple):
    """An object's bytes, their sha256, and what the store calls them."""

    body: bytes
    sha256: str
    tags: Tags


class _Fetching:
    """A fetch under way, and for how long it may hold others up (s). What it brings later than that is thrown away."""

    def __init__(self, admitted: Admitted, patience_s: float) -> None:
        self.admitted = admitted
        self.patience_s = patience_s
        self._began: float | None = None
        """None while it waits for a thread, which is nobody's fault."""

    def run(self, clock: Clock, get: Callable[[], Content]) -> Content:
        """Fetch. Runs in the I/O pool."""
        self._began = clock.monotonic()
        return get()

    def begin(self, now: float, patience_s: float) -> None:
        """Give it its time anew."""
        self._began, self.patience_s = now, patience_s

    def late(self, now: float) -> bool:
        """Whether it has taken longer than it may."""
        return self._began is not None and now - self._began >= self.patience_s


class Fetch:
    """Grants credits in the order of the records, and tells a missing object from a store that is down."""

    def __init__(
        self,
        settings: Settings,
        store: ObjectStore,
        fetches: Calls[Admitted, Content],
        probes: Calls[str, None],
        batches: MicroBatches,
        credit: Credits,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._store = store
        self._fetches = fetches
        self._probes = probes
        self._batches = batches
        self._credit = credit
        self._clock = clock
        self._metrics = metrics
        self._canary = Canary()
        self._suspects: list[tuple[Admitted, StoreError]] = []
        self._running: dict[tuple[int, int], _Fetching] = {}
        self._resting: list[Admitted] = []
        """Taken alone, and waits for a store that is down: nothing is at work on it."""
        self.inbox: deque[Admitted] = deque()
        self.strikes: Strikes
        self.learn: Callable[[RecordingEvent, Tags, str], None]
        self.give: Callable[[Fetched], None]
        self.fail: Callable[[Taken, RecordError], None]

    @property
    def store_down(self) -> bool:
        """Whether work waits for the store."""
        return self._canary.health is Health.DOWN

    def fetching(self, taken: Taken) -> bool:
        """Whether a record's bytes are on their way, wanted or not: until they are here they need their credit."""
        return taken.ident in self._running

    def rests(self, taken: Taken) -> bool:
        """Whether a record waits here for a store that is down, and others go on meanwhile."""
        return any(taken.ident == one.taken.ident for one in self._resting)

    def again(self, admitted: Admitted) -> None:
        """Put a record first in the line: its turn had come already."""
        self.inbox.appendleft(admitted)

    def step(self, now: Instant) -> bool:
        """Take what arrived, probe a store that is suspected, start what credits allow."""
        arrived = self._fetches.take()
        for admitted, answer in arrived:
            del self._running[admitted.taken.ident]
            # What it was suspected for while it was under way is answered.
            self._suspects = [one for one in self._suspects if one[0].taken.ident != admitted.taken.ident]
            self._arrived(admitted, answer, now)
        for fetching in self._running.values():
            if fetching.late(now.mono) and self._batches.wanted(fetching.admitted.taken):
                event = fetching.admitted.event
                detail = f"{event.bucket}/{event.object_key} is not here after {fetching.patience_s:g} s"
                fetching.patience_s = math.inf
                self._judge(fetching.admitted, StoreError(Cause.TIMEOUT, detail), now)
        probed = self._canary.health is not Health.UP and self._probe(now)
        if self._canary.health is Health.DOWN:
            self._rest()
        elif self._resting and self._canary.health is Health.UP:
            self._rise()
        started = self._canary.health is Health.UP and self._start()
        return bool(arrived) or probed or started

    def _rest(self) -> None:
        """Let who was taken alone bear no strike while it waits for the store, which may be for hours."""
        for admitted in self._resting:  # its next try may have been near when the store went down again
            self.strikes.rest(admitted.taken.record.source, admitted.taken.epoch)
        failed = [one for one, _ in self._suspects if not self.fetching(one.taken)]
        came = [one for one in (*self.inbox, *failed) if self.strikes.rest(one.taken.record.source, one.taken.epoch)]
        for admitted in came:
            self._resting.append(admitted)
            if admitted in self.inbox:
                self.inbox.remove(admitted)
        self._suspects = [one for one in self._suspects if not self.rests(one[0].taken)]

    def _rise(self) -> None:
        """Go on with who was taken alone, once it may be alone again."""
        self._resting = [one for one in self._resting if self._batches.wanted(one.taken)]
        for admitted in list(self._resting):
            if self.strikes.again(admitted.taken.record.source, admitted.taken.epoch):
                self._resting.remove(admitted)
                self.again(admitted)

    def _start(self) -> bool:
        # No more than the pool runs at once: a revoke can then still drop what waits here.
        most = self._settings.flow.io_threads
        started = False
        while self.inbox and len(self._running) < most:
            admitted = self.inbox[0]
            taken = admitted.taken
            if self._batches.wanted(taken):
                limit = self._settings.audio.max_object_bytes
                if not self._credit.take(taken.ident, reserve(admitted.event, self._settings.flow, limit)):
                    break
                fetching = _Fetching(admitted, self._patience_s(admitted.event))
                get = partial(fetch_content, self._store, admitted.event, limit)
                self._running[taken.ident] = fetching
                self._fetches.submit(admitted, partial(fetching.run, self._clock, get))
                started = True
            self.inbox.popleft()
        return started

    def _arrived(self, admitted: Admitted, answer: Content | Exception, now: Instant) -> None:
        if not self._batches.wanted(admitted.taken):
            self._credit.give(admitted.taken.ident)
            return
        if isinstance(answer, StoreError):
            self._credit.give(admitted.taken.ident)
            self._judge(admitted, answer, now)
        elif isinstance(answer, RecordError):
            self.fail(admitted.taken, answer)
        elif isinstance(answer, Exception):
            raise FatalError(f"fetching failed in an unforeseen way: {answer!r}") from answer
        else:
            self._canary.worked()
            body, sha256, tags = answer
            taken, event = admitted.taken, admitted.event
            self.learn(event, tags, sha256)
            self._credit.adjust(taken.ident, weigh(event, len(body)))
            self._metrics.stage_seconds[Stage.FETCH].observe(now.mono - admitted.at)
            key = admitted.key(self._settings.dedupe.scope, sha256)
            self.give(Fetched(admitted, body, sha256, key, now.mono))

    def _judge(self, admitted: Admitted, error: StoreError, now: Instant) -> None:
        verdict, reason = STORE_CAUSES[error.cause]
        if verdict is Verdict.POISON_WHEN_OLD:
            # A missing object says nothing against the store, whatever it says about the record.
            age_ms = now.wall_ms - admitted.taken.attempt.first_seen_ms
            kind = TransientError if age_ms < 1000 * self._settings.storage.young_s else PoisonError
            self.fail(admitted.taken, kind(reason, Stage.FETCH, error.detail))
            return
        if verdict is Verdict.POISON:
            self.fail(admitted.taken, PoisonError(reason, Stage.FETCH, error.detail))
            return
        self._suspects.append((admitted, error))
        event = admitted.event
        # A refusal says nothing about the store's health: only whether the probe is refused as well.
        what = None if error.cause is Cause.DENIED else (event.bucket, event.object_key, event.version_id)
        self._canary.failed(now.mono, what)

    def _probe(self, now: Instant) -> bool:
        asked = self._canary.probe_due(now.mono)
        if asked:
            self._probes.submit("store", self._store.probe)
        answers = self._probes.take()
        for _, answer in answers:
            if answer is not None and not isinstance(answer, StoreError):
                raise FatalError(f"probing the store failed in an unforeseen way: {answer!r}") from answer
            self._probed(answer, now)
        return asked or bool(answers)

    def _probed(self, answer: StoreError | None, now: Instant) -> None:
        was_down = self.store_down
        blame = self._canary.probed(now.mono, works=answer is None)
        self._metrics.dependency_down[Dependency.STORE].set(self.store_down)
        if self.store_down:
            if not was_down:
                log.warning("store is down, waiting", dependency="store", detail=str(answer or "objects keep failing"))
            return
        if was_down:
            log.info("store is back", dependency="store")
        suspects, self._suspects = self._suspects, []
        for admitted, error in reversed(suspects):
            if not blame and self.fetching(admitted.taken):
                self._running[admitted.taken.ident].begin(now.mono, self._patience_s(admitted.event))
            elif not blame:
                self.again(admitted)
            elif self._batches.wanted(admitted.taken):
                self.fail(admitted.taken, self._blame(error))

    def _patience_s(self, event: RecordingEvent) -> float:
        """How long a fetch may hold others up; without a limit it ends by the store's own time-outs."""
        storage = self._settings.storage
        if event.size_bytes is None or self._settings.retry.order == "strict":
            return math.inf
        return max(storage.straggler_s, event.size_bytes / storage.slowest_bytes_per_s)

    @staticmethod
    def _blame(error: StoreError) -> RecordError:
        verdict, reason = STORE_CAUSES[error.cause]
        kind = PoisonError if verdict is Verdict.POISON_UNLESS_DOWN else TransientError
        return kind(reason, Stage.FETCH, error.detail)


def fetch_content(store: ObjectStore, event: RecordingEvent, most: int) -> Content:
    """Get an object and check it against its event. Blocks; runs in the I/O pool.

    Raises StoreError, or PoisonError when the bytes are not those that the event declares.
    """
    declared = event.size_bytes
    try:
        stored = store.get(event.bucket, event.object_key, event.version_id, most if declared is None else declared)
    except StoreError as error:
        if error.cause is Cause.TOO_LARGE and declared is not None:
            message = f"the event declares {declared} bytes, the object has more"
            raise PoisonError(Reason.LENGTH_MISMATCH, Stage.FETCH, message) from None
        raise
    size = len(stored.body)
    if size == 0:
        raise StoreError(Cause.EMPTY, f"{event.bucket}/{event.object_key} has 0 bytes")
    if declared is not None and declared != size:
        message = f"the event declares {declared} bytes, the object has {size}"
        raise PoisonError(Reason.LENGTH_MISMATCH, Stage.FETCH, message)
    sha256 = hashlib.sha256(stored.body).hexdigest()
    if event.content_sha256 is not None and event.content_sha256 != sha256:
        raise PoisonError(
            Reason.HASH_MISMATCH,
            Stage.FETCH,
            f"the event declares sha256 {event.content_sha256}, the object has {sha256}",
        )
    return Content(stored.body, sha256, stored.tags)
