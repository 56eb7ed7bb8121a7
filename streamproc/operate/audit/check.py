"""The proof itself: what was read of the logs against what has to hold. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from streamproc.operate.audit.chain import Chain, Move
from streamproc.operate.audit.finding import Fault, Finding, Unchecked, Unseen
from streamproc.operate.audit.lanes import LaneRecord, Lanes, taken_together
from streamproc.operate.audit.ledger import KINDS, Counts, Coverage, LedgerRow
from streamproc.operate.audit.outcomes import Outcomes
from streamproc.operate.place import Place
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import TopicPartition

NO_ROWS = Coverage((), ())


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read. All of it is of one input topic and its lanes."""

    windows: Mapping[TopicPartition, range]
    outcomes: Mapping[TopicPartition, Outcomes]
    """Of each window and of the ledger's rows that reach into it."""
    coverage: Mapping[TopicPartition, Coverage]
    """Of input and lane partitions."""
    lanes: Lanes
    """What is still there."""
    company: Mapping[Place, Chain]
    """What became of records outside of that which share a lane's transaction with one of the windows."""
    lanes_done: Mapping[TopicPartition, int]
    """Per lane partition, the offset that came next before anything was read: what became of those below was seen."""
    lanes_taken: Mapping[TopicPartition, int]
    """The same after all was read: nothing can have come yet of those from there on."""
    outputs_since_ms: Mapping[OutcomeKind, int]
    """Outputs of this kind of transactions before this (ms since the epoch) may have been taken by retention; 0, or
    nothing, when none was."""
    ledger_cut: bool
    """Whether retention has taken rows of the ledger."""


def check(evidence: Evidence) -> Iterator[Finding | Unseen | Unchecked]:
    """Everything that keeps the windows from being proved, partition by partition."""
    for partition, window in evidence.windows.items():
        outcomes = evidence.outcomes[partition]
        coverage = evidence.coverage.get(partition, NO_ROWS)
        yield from _missing(evidence, partition, window)
        yield from _without_record(partition, window, outcomes)
        for offset, chain in sorted(outcomes.chains.items()):
            if offset in window:
                yield from _chain(evidence, partition, offset, chain)
        yield from _uncovered(evidence, partition, window)
        for twice in coverage.overlaps(window):
            detail = "the ledger has them in two transactions"
            yield Finding(Fault.TWICE_IN_LEDGER, partition, twice.start, twice.stop - 1, detail)
        for row in coverage.over(window):
            yield from _input_row(evidence, partition, row)
    yield from _lane_rows(evidence)


def _missing(evidence: Evidence, partition: TopicPartition, window: range) -> Iterator[Finding | Unseen]:
    coverage = evidence.coverage.get(partition, NO_ROWS)
    for lost in evidence.outcomes[partition].open(window):
        # Row by row: retention takes the outputs of one transaction, and not those of the next.
        for gone, parts in groupby(_parted(lost, coverage), lambda part: _gone(evidence, coverage, part)):
            first, *rest = parts
            last = (rest[-1] if rest else first).stop - 1
            if gone:
                yield Unseen(partition, first.start, last, "retention has passed their outputs")
            else:
                detail = "committed, and neither a result, a retry nor a dead letter is there"
                yield Finding(Fault.MISSING, partition, first.start, last, detail)


def _parted(lost: range, coverage: Coverage) -> Iterator[range]:
    """A stretch, cut where a row begins or ends."""
    cuts = {cut for row in coverage.over(lost) for cut in (row.first, row.last + 1) if lost.start < cut < lost.stop}
    edges = (lost.start, *sorted(cuts), lost.stop)
    yield from (range(first, end) for first, end in pairwise(edges))


def _gone(evidence: Evidence, coverage: Coverage, part: range) -> bool:
    row = next(coverage.over(part), None)
    return row is not None and _passed(evidence, row)


def _passed(evidence: Evidence, row: LedgerRow) -> bool:
    """Whether retention may have taken outputs of the kinds that this row had."""
    return any(row.committed_at <= evidence.outputs_since_ms.get(kind, 0) for kind in row.counts.kinds)


def _without_record(partition: TopicPartition, window: range, outcomes: Outcomes) -> Iterator[Finding]:
    for offset, what in sorted(outcomes.without_record.items()):
        if offset in window:
            yield Finding(Fault.NO_RECORD, partition, offset, offset, f"{what} names this offset, which has no record")


def _uncovered(evidence: Evidence, partition: TopicPartition, window: range) -> Iterator[Finding | Unseen]:
    coverage, outcomes = evidence.coverage.get(partition, NO_ROWS), evidence.outcomes[partition]
    for gap in coverage.gaps(window):
        if not outcomes.count(gap):
            continue
        held = [offset for offset in gap if outcomes.has_record(offset)]
        if evidence.ledger_cut and gap.start == window.start:
            yield Unseen(partition, held[0], held[-1], "retention has passed their ledger rows")
        else:
            detail = f"{len(held)} committed records in no ledger row"
            yield Finding(Fault.NOT_IN_LEDGER, partition, held[0], held[-1], detail)


def _chain(evidence: Evidence, partition: TopicPartition, offset: int, chain: Chain) -> Iterator[Finding | Unseen]:
    doubles = list(chain.doubles())
    for double in doubles:
        yield Finding(Fault.DOUBLE, partition, offset, offset, double)
    last = chain.last_move()
    for move in chain.moves:
        followed = move != last or bool(chain.ends)
        if move.offset < evidence.lanes_done.get(move.lane, 0):
            yield from _lane_cover(evidence, partition, offset, move)
            if not followed:
                yield _ended_nowhere(evidence, partition, offset, move)
        elif not followed:
            yield Unseen(partition, offset, offset, f"it waits on {move.lane}/{move.offset}")
        elif move.offset >= evidence.lanes_taken.get(move.lane, 0) and not doubles:
            detail = f"something came of it while it waits on {move.lane}/{move.offset}"
            yield Finding(Fault.DOUBLE, partition, offset, offset, detail)


def _ended_nowhere(evidence: Evidence, partition: TopicPartition, offset: int, move: Move) -> Finding | Unseen:
    place = range(move.offset, move.offset + 1)
    if any(_passed(evidence, row) for row in evidence.coverage.get(move.lane, NO_ROWS).over(place)):
        return Unseen(partition, offset, offset, f"retention has passed what came of it on {move.lane}/{move.offset}")
    detail = f"taken from {move.lane}/{move.offset} after attempt {move.attempts}, and nothing came of it"
    return Finding(Fault.NO_END, partition, offset, offset, detail)


def _lane_cover(evidence: Evidence, partition: TopicPartition, offset: int, move: Move) -> Iterator[Finding | Unseen]:
    place = range(move.offset, move.offset + 1)
    rows = len(list(evidence.coverage.get(move.lane, NO_ROWS).over(place)))
    if not rows:
        detail = f"no ledger row covers its retry on {move.lane}/{move.offset}"
        yield Finding(Fault.NOT_IN_LEDGER, partition, offset, offset, detail)
    elif rows > 1:
        detail = f"{rows} ledger rows cover its retry on {move.lane}/{move.offset}"
        yield Finding(Fault.TWICE_IN_LEDGER, partition, offset, offset, detail)


def _input_row(evidence: Evidence, partition: TopicPartition, row: LedgerRow) -> Iterator[Finding | Unseen | Unchecked]:
    outcomes, window = evidence.outcomes[partition], evidence.windows[partition]
    if not row.first <= row.last < outcomes.stretch.stop:
        return  # it names what the topic does not have: told as that
    if row.first < outcomes.stretch.start:
        yield Unchecked(partition, row)
        return
    lines = {offset: outcomes.line(offset) for offset in range(row.first, row.last + 1)}
    whole = [line for line in lines.values() if line is not None]
    if len(whole) == len(lines):
        yield from _row(evidence, partition, row, whole, cut=row.first < outcomes.kept_from)
    elif not any(line is None and offset in window for offset, line in lines.items()):
        yield Unchecked(partition, row)  # of a record of the window that has no one outcome enough is told


def _row(
    evidence: Evidence, partition: TopicPartition, row: LedgerRow, lines: Sequence[str], *, cut: bool = False
) -> Iterator[Finding | Unseen | Unchecked]:
    """``cut`` is a row whose first records retention has taken: nobody waits for what their outputs say."""
    text = "".join(lines)
    counts = Counts(*(text.count(f":{kind}:") for kind in KINDS))
    right = hashlib.sha256(text.encode()).hexdigest() == row.digest
    if right and counts == row.counts:
        return
    if not right and _passed(evidence, row):
        yield (
            Unchecked(partition, row)
            if cut
            else Unseen(partition, row.first, row.last, "retention has passed their outputs")
        )
    else:
        given = "another digest" if counts == row.counts else counts.text
        detail = f"the ledger sums up {row.counts.text} there; the outputs give {given}"
        yield Finding(Fault.WRONG_DIGEST, partition, row.first, row.last, detail)


def _lane_rows(evidence: Evidence) -> Iterator[Finding | Unseen | Unchecked]:
    """Digests of the lanes' rows, of those with a record that began in the windows."""
    for lane, held in evidence.lanes.items():
        rows = evidence.coverage.get(lane, NO_ROWS).rows
        for row, inside in taken_together(held, rows, evidence.windows):
            lines = {offset: _lane_line(evidence, offset, held[offset]) for offset in inside}
            whole = [line for line in lines.values() if line is not None]
            if len(whole) == len(lines) and row.first in held and row.last in held:
                yield from _row(evidence, lane, row, whole)
            elif not any(line is None and held[at].began_in(evidence.windows) for at, line in lines.items()):
                yield Unchecked(lane, row)


def _lane_line(evidence: Evidence, offset: int, record: LaneRecord) -> str | None:
    """Its line in the lane's digest: what the try from there became."""
    outcomes = evidence.outcomes.get(record.partition)
    if outcomes is None or record.offset not in outcomes.stretch:
        chain = evidence.company.get(Place(record.partition, record.offset))
    else:
        chain = outcomes.chains.get(record.offset)
    outcome = chain.outcome_after(record.attempts) if chain else None
    return None if outcome is None else f"{offset}:{outcome}\n"
