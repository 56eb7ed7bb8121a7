"""Originals and notes that they were put back, in one transaction each, no faster than they are wanted."""

from collections.abc import Callable

from streamproc.errors import AbortedError, Fatal, FatalError, FencedError
from streamproc.kafka.sink import TransactionalSink
from streamproc.operate.dlq.batch import Batch
from streamproc.operate.dlq.letters import Letters

BATCH = 256
"""Letters of one transaction at most."""
MOST_ABORTS = 10
ABORT_WAIT_S = 0.5


class Pace:
    """So many records a second, from the first one on; any number without a rate."""

    def __init__(self, rate: float | None, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._clock = clock
        self._began = clock()
        self.sleep = sleep

    @property
    def batch(self) -> int:
        """Records that may go out at once: a second's worth."""
        return BATCH if self._rate is None else min(BATCH, max(1, int(self._rate)))

    def keep(self, records: int) -> None:
        """Wait until so many may be out."""
        if self._rate is not None:
            self.sleep(max(0.0, self._began + records / self._rate - self._clock()))


class Writing:
    """Makes originals visible together with the notes that they were put back. ``now_ms`` is since the epoch."""

    def __init__(
        self, sink: TransactionalSink, letters: Letters, topic: str, pace: Pace, now_ms: Callable[[], int]
    ) -> None:
        self._sink = sink
        self._letters = letters
        self._topic = topic
        self._pace = pace
        self._now_ms = now_ms

    def commit(self, batch: Batch) -> None:
        """Write one transaction. Raises FatalError."""
        for attempt in range(1, MOST_ABORTS + 1):
            records = [*batch.records(self._topic, self._now_ms())]
            try:
                self._sink.commit(records, (), self._letters.log.membership())
            except AbortedError as error:
                if attempt == MOST_ABORTS:
                    message = f"a transaction was aborted {attempt} times, last: {error}"
                    raise FatalError(message, Fatal.ABORTED_AGAIN) from error
                self._pace.sleep(ABORT_WAIT_S)
            except FencedError as error:
                raise FencedError("another `dlq replay` was started: it goes on in the place of this one") from error
            else:
                return
