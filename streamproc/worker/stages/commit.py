"""Commit: from a finished micro-batch to one transaction, in the order the micro-batches were taken."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from streamproc.chain import START_EXTRA_S
from streamproc.errors import AbortedError, Fatal, FatalError, Stage
from streamproc.records.ledger import Transaction, build_entry
from streamproc.records.mark import Mark
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import CommitOffset, OutputRecord, TopicPartition
from streamproc.settings import KafkaSettings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import MicroBatchLine, get_log, micro_batch_line
from streamproc.telemetry.metrics import Metrics
from streamproc.worker.core.batch import Dropped, MicroBatch, MicroBatches
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.offsets import Offsets
from streamproc.worker.core.ownership import Ownership
from streamproc.worker.core.strikes import Strikes
from streamproc.worker.ports import Calls, RowCodec, Sink
from streamproc.worker.traced import Traced

log = get_log(__name__)

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
COMMIT_MARGIN_S = 10.0
"""Past every time-out of a commit: librdkafka can outlast its own (its issues 5456 and 5511)."""


def longest_commit_s(kafka: KafkaSettings) -> float:
    """How long a commit may take when every call in it takes its whole time; past that its client is stuck (s)."""
    call_s = kafka.transaction_timeout_s
    if kafka.delivery == "exactly_once":
        commit_s, abort_s = call_s, call_s
        return commit_s + abort_s + COMMIT_MARGIN_S
    # The polling thread makes the commit, and hears of no other while it asks where partitions start.
    outputs_s, starts_s, commit_s = call_s, call_s + START_EXTRA_S, call_s
    return outputs_s + starts_s + commit_s + COMMIT_MARGIN_S


@dataclass(frozen=True, slots=True)
class Share:
    """What one partition contributes to a transaction: outcomes without a hole, where to go on, and what to tell there.

    Without outcomes it is a plain commit: only the mark is new.
    """

    source: TopicPartition
    epoch: int
    outcomes: tuple[tuple[int, Outcome], ...]
    next_offset: int
    mark: Mark

    @property
    def offset(self) -> CommitOffset:
        """As it is committed."""
        return CommitOffset(self.source.topic, self.source.partition, self.next_offset, self.mark.text())


@dataclass(frozen=True, slots=True)
class Committed:
    """What became visible."""

    shares: tuple[Share, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Transact:
    """Writes the shares of one micro-batch in one transaction. Blocks; called on the commit thread alone."""

    sink: Sink
    group_metadata: Callable[[], object]
    ownership: Ownership
    rows: RowCodec
    ledger_topic: str
    slot: str
    clock: Clock

    def __call__(self, micro_batch: int, shares: Sequence[Share]) -> Committed:
        """First the member's identity, then what it owns, then the send.

        Asked the other way round, a partition lost in between would be committed under an identity that is newer
        than the check. Raises AbortedError or FatalError.
        """
        began = self.clock.monotonic()
        metadata = self.group_metadata()
        owned = tuple(share for share in shares if self.ownership.holds(share.source, share.epoch))
        if owned:
            offsets = [share.offset for share in owned]
            self.sink.commit(self._outputs(micro_batch, owned), offsets, metadata)
        return Committed(owned, self.clock.monotonic() - began)

    def _outputs(self, micro_batch: int, shares: Sequence[Share]) -> list[OutputRecord]:
        records = sum(len(share.outcomes) for share in shares)
        transaction = Transaction(self.slot, micro_batch, records, self.clock.wall_ms())
        outputs = [output for share in shares for _, outcome in share.outcomes for output in outcome.outputs]
        for share in (share for share in shares if share.outcomes):
            entry = build_entry(transaction, share.source, share.outcomes)
            outputs.append(OutputRecord(self.ledger_topic, str(share.source).encode(), self.rows.encode(entry)))
        return outputs


class Commit:
    """Begins a transaction only when every outcome is there, and one at a time; plain commits come in between."""

    def __init__(
        self,
        transact: Callable[[int, Sequence[Share]], Committed],
        commits: Calls[int, Committed],
        offsets: Offsets,
        strikes: Strikes,
        batches: MicroBatches,
        most_aborts: int,
        stuck_s: float,
        metrics: Metrics,
    ) -> None:
        self._transact = transact
        self._commits = commits
        self._offsets = offsets
        self._strikes = strikes
        self._batches = batches
        self._most_aborts = most_aborts
        self._stuck_s = stuck_s
        self._began_at: float | None = None
        self._metrics = metrics
        self._shares: tuple[Share, ...] | None = None
        self._plain = False
        self._aborts = 0
        self._tries = 0
        self._again_at: float | None = None
        self._leaving = False
        self._first_at = 0.0
        """When the first try began."""
        self.committed: Callable[[MicroBatch, frozenset[TopicPartition], Instant], None]
        """Hears of each micro-batch and its partitions, once they are committed."""
        self.traced: Traced | None = None

    def leave(self) -> None:
        """Begin no transaction any more, nor one again that failed: only marks are committed."""
        self._leaving = True
        if self._began_at is None and not (self._plain and self._again_at is not None):
            for share in (self._shares or ()) if self._plain else ():
                self._strikes.undone(share.source, share.epoch)  # it was tried to the end
            self._shares = self._again_at = None

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way, and nothing was there to be committed at the last step."""
        return self._shares is None

    @property
    def committing(self) -> MicroBatch | None:
        """The micro-batch whose transaction has begun."""
        return self._batches.head() if self._shares is not None and not self._plain else None

    def step(self, now: Instant) -> bool:
        """Take the answer of the running commit, begin the next."""
        answers = self._commits.take()
        for _, answer in answers:
            self._began_at = None
            self._answered(answer, now)
        if self._began_at is not None and now.mono - self._began_at > self._stuck_s:
            message = f"the client has not answered a commit in {self._stuck_s:g} s, past all its time-outs"
            raise FatalError(message, Fatal.CLIENT_STUCK)
        if self._shares is not None and self._again_at is not None and self._again_at <= now.mono:
            self._again_at = None
            self._begin(self._shares, now)
            return True
        if self._shares is None and (shares := self._next(now)) is not None:
            self._shares = shares
            self._aborts = self._tries = 0
            self._first_at = now.mono
            self._begin(shares, now)
            return True
        return bool(answers)

    def _next(self, now: Instant) -> tuple[Share, ...] | None:
        """What to commit now. Marks first: what waits for them has not begun."""
        marks = self._strikes.due()
        self._plain = bool(marks)
        if marks:
            return tuple(Share(one.source, one.epoch, (), one.offset, one.mark) for one in marks)
        if self._leaving:
            return None
        head = self._batches.head()
        return self._split(head, now) if head is not None and head.finished else None

    def _begin(self, shares: tuple[Share, ...], now: Instant) -> None:
        head = self._batches.head()
        self._began_at = now.mono
        micro_batch = head.ident if head else 0
        self._commits.submit(micro_batch, partial(self._transact, micro_batch, shares))

    def _split(self, batch: MicroBatch, now: Instant) -> tuple[Share, ...]:
        """Per partition, its outcomes. They have no hole: of one partition a micro-batch loses all records or none."""
        rows: dict[tuple[TopicPartition, int], list[tuple[int, Outcome]]] = {}
        for taken, settled in batch.outcomes():
            end = settled if self.traced is None else self.traced.carry(taken, settled, now)
            if not isinstance(end, Dropped):
                place = (taken.record.source, taken.epoch)
                rows.setdefault(place, []).append((taken.record.offset, end))
                self._offsets.finish(*place, taken.record.offset)
        shares = []
        for (source, epoch), outcomes in rows.items():
            following = self._offsets.committable(source, epoch)
            if following is not None:
                mark = self._strikes.mark(source, epoch, following)
                shares.append(Share(source, epoch, tuple(outcomes), following, mark))
        return tuple(shares)

    def _answered(self, answer: Committed | Exception, now: Instant) -> None:
        if isinstance(answer, AbortedError):
            self._aborts += not answer.waited
            self._tries += 1
            self._metrics.transaction_aborts.inc()
            if self._leaving and not self._plain:
                self._shares = None
                return
            if self._aborts > self._most_aborts:
                message = f"a transaction was aborted {self._aborts} times, last: {answer}"
                raise FatalError(message, Fatal.ABORTED_AGAIN) from answer
            log.warning("transaction aborted, producing again", attempt=self._tries, detail=str(answer))
            self._again_at = now.mono + min(FIRST_WAIT_S * 2 ** (self._tries - 1), LONGEST_WAIT_S)
        elif isinstance(answer, Exception):
            raise answer
        else:
            self._committed(answer, now)

    def _committed(self, committed: Committed, now: Instant) -> None:
        shares, self._shares = self._shares or (), None
        for share in shares:
            if share in committed.shares:
                progress = bool(share.outcomes)
                self._strikes.committed(share.source, share.epoch, share.next_offset, share.mark, progress=progress)
            else:
                self._strikes.passed(share.source, share.epoch)
        if self._plain:
            return
        batch = self._batches.close_head()
        if not batch.probe:
            self._report(batch, committed, now)
            sources = frozenset(share.source for share in committed.shares)
            self.committed(batch, sources, now)
            if self.traced is not None:
                self.traced.committed(batch, sources, now)

    def _report(self, batch: MicroBatch, committed: Committed, now: Instant) -> None:
        ends = [outcome for share in committed.shares for _, outcome in share.outcomes]
        counts = {kind: sum(end.kind is kind for end in ends) for kind in OutcomeKind}
        for kind, count in counts.items():
            self._metrics.records[kind].inc(count)
        seconds = now.mono - batch.entries[0].taken_at
        self._metrics.micro_batch_records.observe(len(batch.entries))
        self._metrics.micro_batch_seconds.observe(seconds)
        self._metrics.transaction_seconds.observe(committed.seconds)
        self._metrics.commit_seconds.observe(now.mono - self._first_at)
        self._metrics.stage_seconds[Stage.COMMIT].observe(committed.seconds)
        micro_batch_line(
            log,
            MicroBatchLine(
                micro_batch=batch.ident,
                records=len(batch.entries),
                results=counts[OutcomeKind.RESULT],
                retries=counts[OutcomeKind.RETRY],
                retry_reasons=Counter(str(end.reason) for end in ends if end.kind is OutcomeKind.RETRY),
                dead_letters=counts[OutcomeKind.DEAD_LETTER],
                dropped=len(batch.entries) - len(ends),
                seconds=round(seconds, 4),
                transaction_seconds=round(committed.seconds, 4),
                aborts=self._tries,
            ),
        )
