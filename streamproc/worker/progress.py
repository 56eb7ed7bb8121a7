"""Progress: what commits come to, and what waits behind them."""

import math
from collections.abc import Callable, Mapping, Sequence

from streamproc.errors import DependencyDownError
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.settings import TopicSettings
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics, Queue
from streamproc.worker.core.batch import MicroBatch
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.lag import Behind, Lag
from streamproc.worker.core.ownership import Ownership
from streamproc.worker.core.pace import Pace
from streamproc.worker.core.retry import Polled
from streamproc.worker.ports import Calls, Ends

log = get_log(__name__)

ENDS_S = 5.0
"""How often the ends of the topics are asked for: a question to the broker for all partitions together."""
SILENCES = 2
"""Of questions in a row, from which on the broker is away: one may meet a broker that is busy."""
_NONE = Behind(0, 0)


class Progress:
    """Told by the loop; ``show`` sets the gauges, on any thread."""

    def __init__(
        self,
        topics: TopicSettings,
        ends: Ends | None,
        calls: Calls[str, Mapping[TopicPartition, int]] | None,
        drained: Callable[[], Mapping[TopicPartition, int]],
        ownership: Ownership,
        metrics: Metrics,
    ) -> None:
        self._queues = dict(zip((topics.recordings, *topics.lanes), Queue, strict=True))
        self._ends = ends
        self._calls = calls
        self._drained = drained
        self._ownership = ownership
        self._metrics = metrics
        self._lag = Lag()
        self._pace = Pace()
        self._ask_at = 0.0
        self._asked = False
        self._heard = True
        self._silences: int | None = None
        """Questions in a row without an answer; None before there was one: a broker may not answer such questions."""

    @property
    def silent(self) -> bool:
        """Whether the broker does not answer any more; the client itself tells of connections only. On any thread."""
        return (self._silences or 0) >= SILENCES and bool(self._ownership.partitions())

    def begin(self, starts: Sequence[tuple[CommitOffset, int]], now: Instant) -> None:
        """Own partitions from these offsets on, each with its epoch."""
        self._lag.begin([start for start, _ in starts], now.wall_ms)
        self._ask_at = now.mono

    def arrived(self, polled: Sequence[Polled]) -> None:
        """See what was polled."""
        if polled:
            self._answered()
        self._lag.arrived([one.record for one in polled])

    def gone(self, partitions: Sequence[TopicPartition]) -> None:
        """Own them no longer."""
        self._lag.end(partitions)

    def step(self, now: Instant) -> None:
        """Ask where the topics end, from time to time. Whatever that raises, records go on: it is for a gauge alone."""
        if self._ends is None or self._calls is None:
            return
        for _, answer in self._calls.take():
            self._asked = False
            if isinstance(answer, DependencyDownError):
                self._unheard(answer.detail)
            elif isinstance(answer, Exception):
                self._unheard(repr(answer))
            else:
                self._heard = True
                self._silences = 0
                self._lag.drained(self._drained())
                self._lag.ended(answer, now.wall_ms)
        if not self._asked and now.mono >= self._ask_at and (partitions := self._ownership.partitions()):
            self._asked, self._ask_at = True, now.mono + ENDS_S
            ends = self._ends
            self._calls.submit("ends", lambda: ends.read(partitions))

    def _unheard(self, detail: str) -> None:
        """Say it once. What is known stays the best there is."""
        if self._heard:
            log.warning("the lag is not known", dependency="kafka", detail=detail)
        self._heard = False
        self._silences = None if self._silences is None else self._silences + 1

    def _answered(self) -> None:
        """Take a record, or a commit, for what it shows: the broker is there, though the question was not answered."""
        self._silences = None if self._silences is None else 0

    def committed(self, batch: MicroBatch, sources: frozenset[TopicPartition], now: Instant) -> None:
        """Count what a commit came to, for these of its partitions."""
        self._answered()
        audio_ms = records = 0
        last: dict[TopicPartition, tuple[int, int]] = {}
        responses = self._metrics.response_seconds
        for taken, end in batch.outcomes():
            record = taken.record
            if not isinstance(end, Outcome) or record.source not in sources:
                continue
            records += 1
            audio_ms += end.audio_ms
            last[record.source] = record.offset + 1, record.timestamp_ms
            if end.kind is OutcomeKind.RETRY:
                self._metrics.retries[self._queues[end.outputs[0].topic]].inc()
            else:
                responses.observe(max(0, now.wall_ms - taken.attempt.first_seen_ms) / 1000)
        for source, (following, timestamp_ms) in last.items():
            self._lag.committed(source, following, timestamp_ms)
        self._metrics.audio_seconds.inc(audio_ms / 1000)
        self._pace.committed(batch.entries[0].taken_at, now.mono, records, audio_ms / 1000)

    def show(self, now_ms: int) -> None:
        """Set the gauges of lag, backlog and speed."""
        metrics, pace = self._metrics, self._pace
        self._lag.drained(self._drained())
        behind = self._lag.behind(now_ms)
        for topic, queue in self._queues.items():
            one = behind.get(topic, _NONE)
            metrics.lag_records[queue].set(one.records)
            metrics.lag_seconds[queue].set(one.age_ms / 1000)
        backlog_s = pace.record_s * sum(one.records for one in behind.values())
        metrics.backlog_audio_seconds.set(backlog_s)
        metrics.speed.set(pace.speed or 0.0)
        metrics.drain_seconds.set(backlog_s / pace.speed if pace.speed else math.nan)
