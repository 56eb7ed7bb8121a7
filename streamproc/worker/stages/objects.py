"""Objects: what a row or a dead letter points to is in the store before the transaction that makes it visible."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from streamproc.errors import Cause, FatalError, PoisonError, Reason, RecordError, Stage, StoreError
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.stored import NewObject
from streamproc.telemetry.log import get_log
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.instant import Instant
from streamproc.worker.ports import Calls, ObjectStore

log = get_log(__name__)

PUT_WAIT_S = 1.0
"""Between two tries to store one."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A record that waits for its objects: the one that is being stored, and ``rest`` after it."""

    outcome: Outcome
    rest: Sequence[NewObject]


class Objects:
    """Settles a record only when its objects are stored, one after the other; while the store is away it tries again.

    A store that works and refuses to take the object of a result makes that record a dead letter. What belongs to a
    dead letter has no other way to go, and is tried again.
    """

    def __init__(
        self, store: ObjectStore, bucket: str, puts: Calls[tuple[Taken, NewObject], object], batches: MicroBatches
    ) -> None:
        self.bucket = bucket
        self._store = store
        self._puts = puts
        self._batches = batches
        self._kept: dict[tuple[int, int], _Kept] = {}
        self._again: deque[tuple[float, Taken, NewObject]] = deque()
        self.settle: Callable[[Taken, Outcome], None]
        self.fail: Callable[[Taken, RecordError], None]

    def keep(self, taken: Taken, stored: Sequence[NewObject], outcome: Outcome) -> None:
        """Store these objects, if any, then settle their record with ``outcome``."""
        if not stored:
            self.settle(taken, outcome)
            return
        first, *rest = stored
        self._kept[taken.ident] = _Kept(outcome, rest)
        self._put(taken, first)

    def step(self, now: Instant) -> bool:
        """Take answers, try again what failed."""
        answers = self._puts.take()
        for (taken, stored), answer in answers:
            if not self._batches.wanted(taken):
                del self._kept[taken.ident]
            elif isinstance(answer, StoreError):
                log.warning("an object waits for the store", dependency="store", detail=str(answer))
                self._again.append((now.mono + PUT_WAIT_S, taken, stored))
            elif isinstance(answer, PoisonError):
                del self._kept[taken.ident]
                self.fail(taken, answer)
            elif isinstance(answer, Exception):
                raise FatalError(f"storing an object failed in an unforeseen way: {answer!r}") from answer
            else:
                kept = self._kept.pop(taken.ident)
                self.keep(taken, kept.rest, kept.outcome)
        put = False
        while self._again and self._again[0][0] <= now.mono:
            _, taken, stored = self._again.popleft()
            self._put(taken, stored)
            put = True
        return put or bool(answers)

    def _put(self, taken: Taken, stored: NewObject) -> None:
        put = put_of_result if self._kept[taken.ident].outcome.kind is OutcomeKind.RESULT else put_object
        self._puts.submit((taken, stored), partial(put, self._store, self.bucket, stored))


def put_object(store: ObjectStore, bucket: str, stored: NewObject) -> object:
    """Store it. Blocks; runs in the I/O pool. Raises StoreError."""
    return store.put(bucket, stored.key, stored.body, stored.content_type)


def put_of_result(store: ObjectStore, bucket: str, stored: NewObject) -> object:
    """Store what a result points to.

    Raises StoreError when the store is to be waited for, PoisonError(access_denied) when it works and refuses.
    """
    try:
        return put_object(store, bucket, stored)
    except StoreError as error:
        if error.cause is not Cause.DENIED:
            raise
        store.probe()
        message = f"{bucket}/{stored.key} may not be written: {error.detail}"
        raise PoisonError(Reason.ACCESS_DENIED, Stage.ASSEMBLE, message) from None
