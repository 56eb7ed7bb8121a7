"""Oversized: dead letters that no topic takes are kept in the object store before the transaction points to them."""

from collections import deque
from collections.abc import Callable
from functools import partial

from streamproc.errors import FatalError, StoreError
from streamproc.records.dead_letter import Stored
from streamproc.records.outcome import Outcome
from streamproc.telemetry.log import get_log
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.instant import Instant
from streamproc.worker.ports import Calls, ObjectStore

log = get_log(__name__)

PUT_WAIT_S = 1.0
"""Between two tries to store one."""


class Oversized:
    """Settles a record only when its original is stored; while the store is away it tries again."""

    def __init__(
        self, store: ObjectStore, bucket: str, puts: Calls[tuple[Taken, Stored], object], batches: MicroBatches
    ) -> None:
        self.bucket = bucket
        self._store = store
        self._puts = puts
        self._batches = batches
        self._outcomes: dict[tuple[int, int], Outcome] = {}
        self._again: deque[tuple[float, Taken, Stored]] = deque()
        self.settle: Callable[[Taken, Outcome], None]

    def keep(self, taken: Taken, stored: Stored, outcome: Outcome) -> None:
        """Store an original, then settle its record with ``outcome``."""
        self._outcomes[taken.ident] = outcome
        self._put(taken, stored)

    def step(self, now: Instant) -> bool:
        """Take answers, try again what failed."""
        answers = self._puts.take()
        for (taken, stored), answer in answers:
            if not self._batches.wanted(taken):
                del self._outcomes[taken.ident]
            elif isinstance(answer, StoreError):
                log.warning("a dead letter waits for the store", dependency="store", detail=str(answer))
                self._again.append((now.mono + PUT_WAIT_S, taken, stored))
            elif isinstance(answer, Exception):
                raise FatalError(f"storing a dead letter failed in an unforeseen way: {answer!r}") from answer
            else:
                self.settle(taken, self._outcomes.pop(taken.ident))
        put = False
        while self._again and self._again[0][0] <= now.mono:
            _, taken, stored = self._again.popleft()
            self._put(taken, stored)
            put = True
        return put or bool(answers)

    def _put(self, taken: Taken, stored: Stored) -> None:
        call = partial(self._store.put, self.bucket, stored.key, stored.body, "application/json")
        self._puts.submit((taken, stored), call)
