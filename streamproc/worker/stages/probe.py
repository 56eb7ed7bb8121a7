"""Probe: while the brake is on, try the newest records, to see whether the others may come again."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from streamproc.errors import DependencyDownError, FatalError
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import BrakeSettings
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.brake import Brake, candidates
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.ownership import Ownership
from streamproc.worker.core.retry import Polled
from streamproc.worker.ports import Calls, Newest

log = get_log(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
NOBODYS = 0
"""The epoch of a record of a partition that this worker does not own: nothing of a probe is ever committed."""


class Probe:
    """Releases the brake when every candidate of a probe comes to a result.

    A probe is read beside the group and passes the same stages up to its outcome, which is thrown away. It begins when
    what was in flight has been committed, so that a release begins with nothing from before it. A release that did not
    lead to a window of results was a mistake: the next one is waited for, twice as long each time.
    What a probe tries has no mark, so it is waited for, too, where a former owner crashed: it may have died of a probe.
    """

    def __init__(
        self,
        settings: BrakeSettings,
        topic: str,
        newest: Newest,
        reads: Calls[int, Sequence[Record]],
        ownership: Ownership,
        batches: MicroBatches,
        metrics: Metrics,
    ) -> None:
        self._topic = topic
        self._newest = newest
        self._reads = reads
        self._ownership = ownership
        self._batches = batches
        self._metrics = metrics
        self._since: Instant | None = None
        """When the brake went on."""
        self._window = settings.window
        self._results = settings.window
        """Since the last release, or since there was doubt."""
        self._held_s = self._wait_s = FIRST_WAIT_S
        self._probe_at = 0.0
        self._seen: dict[TopicPartition, int] = {}
        self._asked = False
        self._tried: tuple[Taken, ...] = ()
        self._worked: set[tuple[int, int]] = set()
        self.brake = Brake(settings)
        self.begin: Callable[[Sequence[Polled], Instant], tuple[Taken, ...]]

    def held(self) -> bool:
        """Whether no record may be admitted."""
        return self.brake.on

    def ended(self, outcome: Outcome) -> None:
        """Count how a record ended; a retry is no end.

        It counts when it is known, although a revoke may drop it yet: it tells how this worker fares.
        """
        self._results += outcome.kind is OutcomeKind.RESULT
        if outcome.kind is not OutcomeKind.RETRY:
            self.brake.ended(outcome.reason if outcome.kind is OutcomeKind.DEAD_LETTER else None)

    def worked(self, taken: Taken) -> None:
        """Note that a record of a probe came to a result; to fail for now is no success."""
        self._worked.add(taken.ident)

    def status(self) -> Mapping[str, object]:
        """What a person would ask for. Safe from any thread."""
        brake, since = self.brake, self._since
        return {
            "on": brake.on,
            "times": brake.times,
            "dead_letters": brake.dead,
            "of_the_last": brake.seen,
            **({"since": _when(since), "why": brake.why, "reasons": brake.reasons} if brake.on and since else {}),
        }

    def doubt(self) -> None:
        """Wait as long as can be before the next release, until a window of results has come."""
        self._results, self._held_s = 0, LONGEST_WAIT_S

    def release(self, now: Instant, how: str) -> None:
        """Let records come again."""
        if self._since is not None:
            log.info("brake is off", detail=how, seconds=round(now.mono - self._since.mono, 3))
        self.brake.release()
        self._results = 0
        self._metrics.brake_on.set(0)
        self._since = None
        self._tried = ()

    def step(self, now: Instant) -> bool:
        """Say that the brake went on; read, try and judge the next probe when its time has come."""
        answers = self._reads.take()
        if self.brake.on and self._since is None:
            self._hold(now)
        for period, answer in answers:
            self._asked = False
            if self.brake.on and period == self.brake.times:
                self._try(answer, now)
        if self._tried and not any(map(self._batches.wanted, self._tried)):
            self._judge(now)
            return True
        if self.brake.on and not (self._asked or self._tried or len(self._batches)) and self._probe_at <= now.mono:
            self._asked = True
            owned = [place for place in self._ownership.partitions() if place.topic == self._topic]
            self._reads.submit(self.brake.times, lambda: self._newest.read(self._topic, owned))
            return True
        return bool(answers)

    def _hold(self, now: Instant) -> None:
        self._since = now
        if self._results >= self._window:
            self._held_s = self._wait_s = FIRST_WAIT_S
            self._probe_at = now.mono
        else:
            self._wait_s = self._held_s
            self._held_s = min(2 * self._held_s, LONGEST_WAIT_S)
            self._wait(now)
        self._seen.clear()
        self._metrics.brake_on.set(1)
        log.error("brake is on: no more records are taken", detail=self.brake.why, reasons=self.brake.reasons)

    def _try(self, answer: Sequence[Record] | Exception, now: Instant) -> None:
        if isinstance(answer, Exception) and not isinstance(answer, DependencyDownError):
            raise FatalError(f"reading the newest records failed in an unforeseen way: {answer!r}") from answer
        newest = [] if isinstance(answer, Exception) or self._since is None else answer
        since_ms = self._since.wall_ms if self._since else 0
        chosen = candidates(newest, self._seen, since_ms)
        self._seen.update((record.source, record.offset) for record in newest)
        self._worked.clear()
        polled = [Polled(record, self._ownership.epoch(record.source) or NOBODYS) for record in chosen]
        self._tried = self.begin(polled, now) if polled else ()
        if not self._tried:
            self._wait(now)

    def _judge(self, now: Instant) -> None:
        tried, self._tried = self._tried, ()
        worked = sum(taken.ident in self._worked for taken in tried)
        self._metrics.brake_probes.inc()
        if worked == len(tried):
            self.release(now, f"the newest {worked} records are well")
        else:
            not_well, wait_s = len(tried) - worked, self._wait_s
            log.info("brake stays on: newest records are not well", count=not_well, records=len(tried), seconds=wait_s)
            self._wait(now)

    def _wait(self, now: Instant) -> None:
        self._probe_at = now.mono + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)


def _when(since: Instant) -> str:
    return datetime.fromtimestamp(since.wall_ms / 1000, UTC).isoformat(timespec="milliseconds")
