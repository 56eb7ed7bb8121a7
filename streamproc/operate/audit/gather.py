"""Records of the logs, one by one, as they add up to the evidence of an audit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import PoisonError, UsageError
from streamproc.kafka.columns import Columns
from streamproc.kafka.registry import Registry
from streamproc.operate.audit.chain import Chain, End, Move
from streamproc.operate.audit.finding import Fault, Finding
from streamproc.operate.audit.lanes import LaneRecord
from streamproc.operate.audit.ledger import Counts, Coverage, LedgerRow, cover
from streamproc.operate.audit.outcomes import ID_BYTES, Outcomes
from streamproc.operate.dead_letter import NO_LETTER
from streamproc.operate.place import Place
from streamproc.records.lane import Attempt, read_attempt
from streamproc.records.ledger import LedgerEntry
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import Record, TopicPartition
from streamproc.records.result import EmotionResult
from streamproc.settings import TopicSettings

Bare = tuple[int, int, bytes | None]
"""Partition, offset, value."""
MOST_RETRIED = 1_000_000
"""Records on lanes: about 0.5 GB of them."""
_ASCII = 0x80
"""Bytes below it are."""
_RESULT = ("result_id", "attempts", "input_topic", "input_partition", "input_offset")
_LEDGER = tuple(name for name in LedgerEntry.__dataclass_fields__ if name != "slot")


class Gathered:
    """What was read so far. ``ends`` is behind the last record of each input partition: no outcome can name more."""

    def __init__(self, topics: TopicSettings, registry: Registry, ends: Mapping[TopicPartition, int]) -> None:
        self._topics = topics
        self._ends = ends
        self._results = Columns(registry, EmotionResult, _RESULT)
        self._ledger = Columns(registry, LedgerEntry, _LEDGER)
        self._rows: dict[TopicPartition, list[LedgerRow]] = {}
        self._outcomes: dict[int, Outcomes] = {}
        self.company: Mapping[Place, Chain] = {}
        self._beside: dict[int, NDArray[np.int64]] = {}
        """Offsets of the company, by partition."""
        self._moves = 0
        self.lanes: dict[TopicPartition, dict[int, LaneRecord]] = {}
        self.findings: list[Finding] = []

    def coverage(self) -> Mapping[TopicPartition, Coverage]:
        """The ledger's rows so far, per partition of the input and its lanes."""
        return {partition: cover(rows) for partition, rows in self._rows.items()}

    def expect(self, outcomes: Mapping[TopicPartition, Outcomes]) -> None:
        """Fill these from now on."""
        self._outcomes = {partition.partition: held for partition, held in outcomes.items()}

    def expect_company(self, company: Mapping[Place, Chain]) -> None:
        """Fill these as well, which are outside of what is asked for."""
        self.company = company
        for partition in {place.partition.partition for place in company}:
            offsets = [place.offset for place in company if place.partition.partition == partition]
            self._beside[partition] = np.array(offsets, np.int64)

    def ledger_row(self, bare: Bare) -> None:
        """Take a record of the ledger."""
        if (row := self._read(self._ledger, self._topics.ledger, bare)) is not None:
            counts = Counts(row["results"], row["retries"], row["dead_letters"])
            source = TopicPartition(row["input_topic"], row["input_partition"])
            self._rows.setdefault(source, []).append(
                LedgerRow(row["first_offset"], row["last_offset"], row["digest"], row["committed_at"], counts)
            )

    def inputs(self, places: Sequence[tuple[int, int]]) -> None:
        """Take records of the input: partition and offset of each."""
        partitions, offsets = np.array(places, np.int64).reshape(-1, 2).T
        for partition in np.unique(partitions).tolist():
            self._outcomes[partition].records(offsets[partitions == partition])

    def lane_record(self, record: Record) -> None:
        """Take a record of a lane. Raises UsageError for more than memory should hold."""
        if (attempt := self._attempt(record)) is None or attempt.topic != self._topics.recordings:
            return
        self._moves += 1
        if self._moves > MOST_RETRIED:
            raise UsageError(f"over {MOST_RETRIED} retries are on the lanes: choose a smaller window")
        origin = TopicPartition(attempt.topic, attempt.partition)
        held = self.lanes.setdefault(record.source, {})
        held[record.offset] = LaneRecord(origin, attempt.offset, attempt.attempts)
        what = f"a retry on {record.source}/{record.offset}"
        if (outcomes := self._of(origin, attempt.offset, what)) is not None:
            outcomes.move(attempt.offset, Move(attempt.attempts, record.source, record.offset))

    def dead_letter(self, record: Record) -> None:
        """Take a record of the dead letters."""
        if (attempt := self._attempt(record)) is None or attempt.topic != self._topics.recordings:
            return
        end = End(OutcomeKind.DEAD_LETTER, "", attempt.attempts, Place(record.source, record.offset))
        self._end(TopicPartition(attempt.topic, attempt.partition), attempt.offset, end)

    def results(self, bares: Sequence[Bare]) -> None:
        """Take records of the results: those that say one plain thing all at once, and the others one by one."""
        plain = self._plain(bares) if bares else ()
        for bare, taken in zip(bares, plain, strict=True):
            if not taken:
                self.result(bare)

    def _plain(self, bares: Sequence[Bare]) -> Sequence[bool]:
        """Which records were taken at once."""
        noted = np.zeros(len(bares), np.bool_)
        table = self._results.together([value for _, _, value in bares])
        if table is not None:
            partitions, offsets = table.numbers["input_partition"], table.numbers["input_offset"]
            ours = table.equal("input_topic", self._topics.recordings.encode())
            rows = np.flatnonzero(ours & (table.texts["result_id"].length == ID_BYTES))
            rows = rows[(table.cut("result_id", rows, ID_BYTES) < _ASCII).all(axis=1)]
            places = np.array([(partition, offset) for partition, offset, _ in bares], np.uint64)
            for partition in np.unique(partitions[rows]).tolist():
                there = rows[partitions[rows] == partition]
                end = self._ends.get(TopicPartition(self._topics.recordings, partition), 0)
                noted[there] = (offsets[there] >= 0) & (offsets[there] < end)  # outside of what is asked for
                if partition in self._beside:
                    noted[there] &= ~np.isin(offsets[there], self._beside[partition])
                if (outcomes := self._outcomes.get(partition)) is not None:
                    first, stop = outcomes.stretch.start, outcomes.stretch.stop
                    mine = there[(offsets[there] >= first) & (offsets[there] < stop)]
                    ids = table.cut("result_id", mine, ID_BYTES)
                    noted[mine] = outcomes.results(offsets[mine], ids, places[mine])
        return noted.tolist()

    def result(self, bare: Bare) -> None:
        """Take a record of the results."""
        row = self._read(self._results, self._topics.results, bare)
        if row is None or row["input_topic"] != self._topics.recordings:
            return
        offset, ident = row["input_offset"], row["result_id"]
        if len(ident) != ID_BYTES or not ident.isascii():
            self._unreadable(TopicPartition(self._topics.results, bare[0]), bare[1], f"result_id {ident[:64]!r}")
            return
        at = Place(TopicPartition(self._topics.results, bare[0]), bare[1])
        end = End(OutcomeKind.RESULT, ident, row["attempts"] or 0, at)
        self._end(TopicPartition(row["input_topic"], row["input_partition"]), offset, end)

    def _end(self, origin: TopicPartition, offset: int, end: End) -> None:
        if (chain := self.company.get(Place(origin, offset))) is not None:
            chain.ends.append(end)
        elif (outcomes := self._of(origin, offset, f"a {end.kind.replace('_', ' ')} on {end.at}")) is not None:
            outcomes.end(offset, end)

    def _of(self, origin: TopicPartition, offset: int, what: str) -> Outcomes | None:
        """Where an outcome of this offset is kept; None when it is outside of what is asked for."""
        if not 0 <= offset < self._ends.get(origin, 0):
            detail = f"{what} names this offset, which the topic does not have"
            self.findings.append(Finding(Fault.NO_RECORD, origin, offset, offset, detail))
            return None
        outcomes = self._outcomes.get(origin.partition)
        return outcomes if outcomes is not None and offset in outcomes.stretch else None

    def _attempt(self, record: Record) -> Attempt | None:
        try:
            return read_attempt(record, (record.topic,))  # dead letters have the same headers as lane records
        except PoisonError as error:
            detail = NO_LETTER if record.topic == self._topics.dead_letters else error.message
            self._unreadable(record.source, record.offset, detail)
            return None

    def _read(self, columns: Columns, topic: str, bare: Bare) -> Mapping[str, Any] | None:
        try:
            return columns.read(bare[2])
        except PoisonError as error:
            self._unreadable(TopicPartition(topic, bare[0]), bare[1], error.message)
            return None

    def _unreadable(self, partition: TopicPartition, offset: int, detail: str) -> None:
        self.findings.append(Finding(Fault.UNREADABLE, partition, offset, offset, detail))
