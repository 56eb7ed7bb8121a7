"""LedgerEntry: per transaction and input partition, what its offsets became."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import TopicPartition


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One row of the ledger topic. ``committed_at`` is in ms since the epoch, taken just before the commit."""

    slot: str
    input_topic: str
    input_partition: int
    first_offset: int
    last_offset: int
    results: int
    retries: int
    dead_letters: int
    digest: str
    committed_at: int
    micro_batch: int | None = None
    """None in rows that were written before there was this column; the same holds for the next."""
    micro_batch_records: int | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """What all ledger rows of one transaction share. ``at`` is when it was begun, in ms since the epoch."""

    slot: str
    micro_batch: int
    records: int
    at: int


def build_entry(
    transaction: Transaction, source: TopicPartition, outcomes: Sequence[tuple[int, Outcome]]
) -> LedgerEntry:
    """Sum up the outcomes of one partition's offsets, which are given in order.

    ``digest`` is sha256 over the lines ``offset:outcome:result_id``, each ended by a newline.
    """
    counts = Counter(outcome.kind for _, outcome in outcomes)
    lines = "".join(f"{offset}:{outcome.kind}:{outcome.result_id}\n" for offset, outcome in outcomes)
    return LedgerEntry(
        slot=transaction.slot,
        input_topic=source.topic,
        input_partition=source.partition,
        first_offset=outcomes[0][0],
        last_offset=outcomes[-1][0],
        results=counts[OutcomeKind.RESULT],
        retries=counts[OutcomeKind.RETRY],
        dead_letters=counts[OutcomeKind.DEAD_LETTER],
        digest=hashlib.sha256(lines.encode()).hexdigest(),
        committed_at=transaction.at,
        micro_batch=transaction.micro_batch,
        micro_batch_records=transaction.records,
    )
