"""Traced: a span for each record and one for each micro-batch, made when its outcomes are there.

A record's span belongs to the trace that its producer began, and outputs carry it on; a micro-batch has a trace of its
own, with links to its records. Lanes and dead letters keep the producer's headers byte for byte, so that what comes
again goes on in the same trace.
"""

from typing import Any

from streamproc.records.dead_letter import fits
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import TopicPartition
from streamproc.records.topics import MAX_INPUT_BYTES
from streamproc.worker.core.batch import Dropped, End, MicroBatch, Taken
from streamproc.worker.core.instant import Instant
from streamproc.worker.ports import Spans, SpanValues


class Traced:
    """Between the outcomes of a micro-batch and its commit."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._open: dict[tuple[int, int], tuple[Any, OutcomeKind, str]] = {}

    def carry(self, taken: Taken, end: End, now: Instant) -> End:
        """Begin the span of a record that has its end, which is then told to who reads its result."""
        if isinstance(end, Dropped) or taken.probe:
            return end
        record = taken.record
        where: SpanValues = {
            "messaging.system": "kafka",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
        }
        span = self._spans.record(f"process {record.topic}", record, where, _ns(now, taken.taken_at))
        self._open[taken.ident] = span, end.kind, end.reason
        return self._told(end, span) if end.kind is OutcomeKind.RESULT else end

    def committed(self, batch: MicroBatch, sources: frozenset[TopicPartition], now: Instant) -> None:
        """End the spans of a micro-batch: records of other partitions were left out."""
        ended_ns, linked = _ns(now, now.mono), []
        for taken in batch.entries:
            if (begun := self._open.pop(taken.ident, None)) is None:
                continue
            span, kind, reason = begun
            there = taken.record.source in sources
            problem = reason if kind is OutcomeKind.DEAD_LETTER else ""
            self._spans.end(span, {"streamproc.outcome": str(kind) if there else "dropped"}, ended_ns, problem)
            linked.append(span)
        values = {"streamproc.micro_batch": batch.ident, "messaging.batch.message_count": len(batch.entries)}
        self._spans.batch("micro-batch", linked, values, _ns(now, batch.entries[0].taken_at), ended_ns)

    def _told(self, outcome: Outcome, span: Any) -> Outcome:
        """With headers, but for what a topic would not take any more with them."""
        ours = tuple(self._spans.headers(span))
        outputs = (output._replace(headers=(*output.headers, *ours)) for output in outcome.outputs)
        told = tuple(
            new if fits(new, MAX_INPUT_BYTES) else old for new, old in zip(outputs, outcome.outputs, strict=True)
        )
        return outcome._replace(outputs=told)


def _ns(now: Instant, mono: float) -> int:
    """A moment of the monotonic clock, in ns since the epoch."""
    return 1_000_000 * now.wall_ms - round(1e9 * (now.mono - mono))
