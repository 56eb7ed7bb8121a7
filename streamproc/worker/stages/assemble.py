"""Assemble: from an analysis, or a failure, to the one outcome of an input offset."""

from collections import deque
from collections.abc import Callable, Mapping

from streamproc.errors import PoisonError, Reason, RecordError, Stage, TransientError
from streamproc.records.dead_letter import fits, size_of, store_whole
from streamproc.records.embedding import embedding
from streamproc.records.identity import result_id
from streamproc.records.lane import Attempt, failure_headers, original_headers
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import OutputRecord
from streamproc.records.result import Provenance, StoredAt, build_result
from streamproc.records.segment import build_segments
from streamproc.records.stored import NewObject
from streamproc.records.timeline import timeline
from streamproc.records.topics import MAX_INPUT_BYTES
from streamproc.settings import TopicSettings
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics
from streamproc.worker.core.batch import DROPPED, MicroBatches, Taken
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.retry import RetryPolicy
from streamproc.worker.ports import RowCodec
from streamproc.worker.stages.items import Analysed
from streamproc.worker.stages.objects import Objects

log = get_log(__name__)


class Assemble:
    """Writes rows for what succeeded, and sends on what failed: to a lane while there is one, else to the dead."""

    def __init__(
        self,
        topics: TopicSettings,
        retry: RetryPolicy,
        rows: RowCodec,
        model: str,
        objects: Objects,
        batches: MicroBatches,
        metrics: Metrics,
    ) -> None:
        self._topics = topics
        self._retry = retry
        self._rows = rows
        self._model = model
        self._objects = objects
        objects.settle, objects.fail = self._settle, self.fail
        self._batches = batches
        self._metrics = metrics
        self.inbox: deque[Analysed] = deque()
        self.again: Callable[[Taken, Attempt], bool]
        """Keeps a record to be tried again in place, if that is to be done."""
        self.free: Callable[[Taken], None]
        """Gives the credit of a record back that has its end."""
        self.ended: Callable[[Outcome], None]
        self.worked: Callable[[Taken], None]
        """Hears of each record of a probe that would have had a result."""

    def step(self, now: Instant) -> bool:
        """Give every analysed record its outcome."""
        stored = self._objects.step(now)
        took = bool(self.inbox)
        while self.inbox:
            analysed = self.inbox.popleft()
            taken = analysed.admitted.taken
            if self._batches.wanted(taken):
                try:
                    self._succeed(analysed, now)
                except PoisonError as error:
                    self.fail(taken, error)
                self._metrics.stage_seconds[Stage.ASSEMBLE].observe(now.mono - analysed.at)
        return took or stored

    def fail(self, taken: Taken, error: RecordError) -> None:
        """Give a failed record its outcome."""
        if taken.probe:
            self._let_go(taken)
            return
        if error.reason is Reason.KILLED_WORKER and taken.attempt.reason == Reason.KILLED_WORKER:
            # A shortage of memory would be over by now: it does this whenever it is tried.
            error = PoisonError(error.reason, error.stage, error.message)
        attempt = taken.attempt._replace(attempts=taken.attempt.attempts + 1, reason=error.reason)
        if isinstance(error, TransientError) and self.again(taken, attempt):
            # Nothing of its partition is committed meanwhile, which nobody else says.
            log.info("record waits in place to be tried again", **_told(attempt, error))
            self.free(taken)
            return
        lane = self._retry.lane(attempt.attempts) if isinstance(error, TransientError) else None
        if lane is not None and fits(again := self._moved(taken, lane.topic, attempt, error)):
            # Late uploads can make this every record: the micro-batch's line counts them by reason.
            log.debug("retry", **_told(attempt, error))
            self._settle(taken, Outcome(OutcomeKind.RETRY, (again,), reason=error.reason))
            return
        if isinstance(error, TransientError):
            message = f"after {attempt.attempts} attempts, last: {error.reason}: {error.message}"
            error = PoisonError(Reason.RETRIES_EXHAUSTED, error.stage, message)
        self._metrics.dead_letters[error.reason].inc()
        log.warning("dead letter", **_told(attempt, error))
        letter = self._moved(taken, self._topics.dead_letters, attempt, error)
        if fits(letter):
            self._settle(taken, Outcome(OutcomeKind.DEAD_LETTER, (letter,), reason=error.reason))
        else:
            ours = failure_headers(attempt, error)
            stored, pointer = store_whole(taken.record, letter, ours, self._objects.bucket)
            self._objects.keep(taken, [stored], Outcome(OutcomeKind.DEAD_LETTER, (pointer,), reason=error.reason))

    def _settle(self, taken: Taken, outcome: Outcome) -> None:
        if taken.probe:
            self._let_go(taken)
            self.worked(taken)
            return
        self._batches.settle(taken, outcome)
        self.free(taken)
        self.ended(outcome)

    def _let_go(self, taken: Taken) -> None:
        """End a record of a probe without an outcome."""
        self._batches.settle(taken, DROPPED)
        self.free(taken)

    def _moved(self, taken: Taken, topic: str, attempt: Attempt, error: RecordError) -> OutputRecord:
        """The original, byte for byte, with the reason in headers."""
        record = taken.record
        headers = (*original_headers(record, self._topics.lanes), *failure_headers(attempt, error))
        return OutputRecord(topic, record.key, record.value, headers)

    def _succeed(self, analysed: Analysed, now: Instant) -> None:
        """Settle a record with its result, once what that points to is stored. Raises PoisonError."""
        event, bucket = analysed.admitted.event, self._objects.bucket
        objects: dict[str, NewObject] = {}
        if "timeline" in event.outputs:
            objects["timeline"] = timeline(analysed.key, analysed.analysis)
        if event.wants_embedding:
            objects["embedding"] = embedding(analysed.key, analysed.analysis)
        uris = StoredAt(**{what: stored.uri(bucket) for what, stored in objects.items()})
        self._objects.keep(analysed.admitted.taken, list(objects.values()), self._result(analysed, now, uris))

    def _result(self, analysed: Analysed, now: Instant, uris: StoredAt) -> Outcome:
        admitted, taken = analysed.admitted, analysed.admitted.taken
        attempt, event, key = taken.attempt, admitted.event, taken.record.key
        ident = result_id(event.event_id, admitted.fingerprint)
        how = Provenance(
            result_id=ident,
            fingerprint=admitted.fingerprint,
            model=self._model,
            content_sha256=analysed.sha256,
            tier=analysed.tier,
            attempts=attempt.attempts + 1,
            produced_at=now.wall_ms,
            processing_ms=round(1000 * (now.mono - taken.taken_at)),
            input_topic=attempt.topic,
            input_partition=attempt.partition,
            input_offset=attempt.offset,
        )
        result = build_result(event, analysed.analysis, how, uris)
        outputs = [OutputRecord(self._topics.results, key, self._rows.encode(result))]
        if "segments" in event.outputs:
            outputs += [
                OutputRecord(self._topics.segments, key, self._rows.encode(row))
                for row in build_segments(event, analysed.analysis, ident)
            ]
        for output in outputs:
            if not fits(output, MAX_INPUT_BYTES):
                size = size_of(output.key, output.value, output.headers)
                message = f"key and row make {size} bytes; a topic takes {MAX_INPUT_BYTES}. Shorten key or attributes"
                raise PoisonError(Reason.EVENT_INVALID, Stage.ASSEMBLE, message)
        return Outcome(OutcomeKind.RESULT, tuple(outputs), ident, audio_ms=analysed.analysis.info.duration_ms)


def _told(attempt: Attempt, error: RecordError) -> Mapping[str, object]:
    """Which record, which try of it failed, and why, as fields of the log."""
    return {
        "topic": attempt.topic,
        "partition": attempt.partition,
        "offset": attempt.offset,
        "attempt": attempt.attempts,
        "reason": error.reason,
        "stage": error.stage,
        "detail": error.message,
    }
