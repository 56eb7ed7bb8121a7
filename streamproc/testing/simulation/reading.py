"""What lies in the topics, read as the ends of records; whoever reads here knows nothing of the workers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import TopicSettings


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record began."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Try:
    """One record of the input or of a lane."""

    place: TopicPartition
    offset: int
    origin: Origin
    attempts: int
    """Tries up to and with this one."""


@dataclass(frozen=True, slots=True)
class End:
    """One outcome as it can be read: of which try of which record, and what."""

    origin: Origin
    attempts: int
    """Tries up to and with this one."""
    kind: OutcomeKind
    result_id: str
    what: str
    """The status, or the reason."""


class Reader:
    """Makes outcomes of what lies in the output topics."""

    def __init__(self, topics: TopicSettings) -> None:
        self._topics = topics

    def ends(self, outputs: Iterable[Record]) -> list[End]:
        """The outcomes among outputs; segments and ledger rows are none."""
        return [end for output in outputs if (end := self.end(output)) is not None]

    def end(self, output: Record) -> End | None:
        """The outcome that an output is."""
        topics = self._topics
        if output.topic == topics.results:
            row = row_of(output)
            origin = Origin(row["input_partition"], row["input_offset"])
            return End(origin, row["attempts"], OutcomeKind.RESULT, row["result_id"], row["status"])
        if output.topic == topics.dead_letters or output.topic in topics.lanes:
            headers = dict(output.headers)
            kind = OutcomeKind.DEAD_LETTER if output.topic == topics.dead_letters else OutcomeKind.RETRY
            return End(
                origin_of(headers), int(headers["sp-attempts"] or 0), kind, "", (headers["sp-reason"] or b"").decode()
            )
        return None

    def again(self, record: Record) -> Try:
        """Which try of which record a lane's record announces."""
        headers = dict(record.headers)
        attempts = int(headers["sp-attempts"] or 0) + 1
        return Try(record.source, record.offset, origin_of(headers), attempts)


def origin_of(headers: Mapping[str, bytes | None]) -> Origin:
    """Read the origin that a lane's record, or a dead letter, carries."""
    return Origin(int(headers["sp-origin-partition"] or 0), int(headers["sp-origin-offset"] or 0))


def row_of(stored: Record) -> Mapping[str, Any]:
    """What a result, a segment or a row of the ledger says."""
    return _row(stored.value or b"null")


@lru_cache(256)  # each check of a commit, and of the end, reads the same few rows
def _row(value: bytes) -> Mapping[str, Any]:
    row: Mapping[str, Any] = json.loads(value)
    return row
