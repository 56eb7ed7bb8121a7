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


def build_entry(
    slot: str, source: TopicPartition, outcomes: Sequence[tuple[int, Outcome]], committed_at: int
) -> LedgerEntry:
    """Sum up the outcomes of one partition's offsets, which are given in order.

    ``digest`` is sha256 over the lines ``offset:outcome:result_id``, each ended by a newline.
    """
    counts = Counter(outcome.kind for _, outcome in outcomes)
    lines = "".join(f"{offset}:{outcome.kind}:{outcome.result_id}\n" for offset, outcome in outcomes)
    return LedgerEntry(
        slot=slot,
        input_topic=source.topic,
        input_partition=source.partition,
        first_offset=outcomes[0][0],
        last_offset=outcomes[-1][0],
        results=counts[OutcomeKind.RESULT],
        retries=counts[OutcomeKind.RETRY],
        dead_letters=counts[OutcomeKind.DEAD_LETTER],
        digest=hashlib.sha256(lines.encode()).hexdigest(),
        committed_at=committed_at,
    )
