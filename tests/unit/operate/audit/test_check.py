"""The pure proof: whatever right workers leave is proved, and no single thing can be changed unnoticed."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.audit.chain import Chain, End, Move
from streamproc.operate.audit.check import Evidence, check
from streamproc.operate.audit.finding import Fault, Finding, Unchecked, Unseen
from streamproc.operate.audit.lanes import LaneRecord
from streamproc.operate.audit.ledger import Counts, LedgerRow, cover
from streamproc.operate.audit.outcomes import Outcomes
from streamproc.operate.place import Place
from streamproc.records.ledger import Transaction, build_entry
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import TopicPartition

INPUT = TopicPartition("in", 0)
LANE = TopicPartition("in.retry", 0)
AT = {
    OutcomeKind.RESULT: Place(TopicPartition("out", 999_999), 2**44 - 1),
    OutcomeKind.DEAD_LETTER: Place(TopicPartition("in.dlq", 2), 0),
}
"""Where ends stand."""


@dataclass
class Written:
    """What right workers leave behind of some input offsets, as plain lists that a test can spoil."""

    stretch: range
    records: list[int]
    moves: list[tuple[int, Move]] = field(default_factory=list)
    ends: list[tuple[int, End]] = field(default_factory=list)
    rows: list[LedgerRow] = field(default_factory=list)
    lane_rows: list[LedgerRow] = field(default_factory=list)
    lanes_done: int = 0

    def evidence(self) -> Evidence:
        outcomes = Outcomes(self.stretch, {kind: at.partition.topic for kind, at in AT.items()})
        outcomes.records(np.array(self.records, np.int64))
        for offset, move in self.moves:
            outcomes.move(offset, move)
        for offset, end in self.ends:
            outcomes.end(offset, end)
        lanes = {LANE: {move.offset: LaneRecord(INPUT, offset, move.attempts) for offset, move in self.moves}}
        return Evidence(
            windows={INPUT: self.stretch},
            outcomes={INPUT: outcomes},
            coverage={INPUT: cover(self.rows), LANE: cover(self.lane_rows)},
            lanes=lanes,
            company={},
            lanes_done={LANE: self.lanes_done},
            lanes_taken={LANE: self.lanes_done},
            outputs_since_ms={},
            ledger_cut=False,
        )

    def said(self) -> list[Finding | Unseen | Unchecked]:
        return list(check(self.evidence()))

    def faults(self) -> set[tuple[Fault, int]]:
        return {(one.fault, one.first) for one in self.said() if isinstance(one, Finding)}


def row(place: TopicPartition, outcomes: Sequence[tuple[int, Outcome]]) -> LedgerRow:
    """As a worker writes it, by the worker's own digest."""
    entry = build_entry(Transaction("0", 1, len(outcomes), 1), place, outcomes)
    return LedgerRow(
        entry.first_offset, entry.last_offset, entry.digest, 1, Counts(entry.results, entry.retries, entry.dead_letters)
    )


def ident(number: int) -> str:
    return str(uuid.UUID(int=number))


@st.composite
def written(draw: st.DrawFn) -> Written:
    stretch = range(first := draw(st.integers(0, 50)), first + draw(st.integers(1, 40)))
    records = [offset for offset in stretch if draw(st.booleans())]
    made = Written(stretch, records)
    at_lane = draw(st.integers(0, 5))
    batch: list[tuple[int, Outcome]] = []
    for offset in records:
        tries = draw(st.sampled_from([0, 0, 0, 1, 2, 3]))
        kind = draw(st.sampled_from([OutcomeKind.RESULT, OutcomeKind.DEAD_LETTER]))
        end = End(kind, ident(offset) if kind is OutcomeKind.RESULT else "", tries + 1, AT[kind])
        outcomes = [Outcome(OutcomeKind.RETRY, ())] * tries + [Outcome(kind, (), end.result_id)]
        batch.append((offset, outcomes[0]))
        for attempts in range(1, tries + 1):
            made.moves.append((offset, Move(attempts, LANE, at_lane)))
            made.lane_rows.append(row(LANE, [(at_lane, outcomes[attempts])]))
            at_lane += draw(st.integers(1, 2))
        made.ends.append((offset, end))
        if draw(st.booleans()):
            made.rows.append(row(INPUT, batch))
            batch = []
    if batch:
        made.rows.append(row(INPUT, batch))
    made.lanes_done = at_lane
    return made


@given(written())
def test_what_right_workers_leave_is_proved(made: Written) -> None:
    assert made.said() == []


@given(written(), st.data())
def test_an_end_that_is_gone_is_noticed_at_its_offset(made: Written, data: st.DataObject) -> None:
    if made.ends:
        offset, _ = gone = data.draw(st.sampled_from(made.ends))
        made.ends.remove(gone)
        retried = any(origin == offset for origin, _ in made.moves)
        assert made.faults() == {(Fault.NO_END if retried else Fault.MISSING, offset)}


@given(written(), st.data())
def test_an_end_that_is_there_twice_is_noticed_at_its_offset(made: Written, data: st.DataObject) -> None:
    if made.ends:
        offset, end = data.draw(st.sampled_from(made.ends))
        made.ends.append((offset, data.draw(st.sampled_from([end, replace(end, kind=OutcomeKind.DEAD_LETTER)]))))
        assert made.faults() == {(Fault.DOUBLE, offset)}
        (double,) = (one.detail for one in made.said() if isinstance(one, Finding))
        assert double.count(f" at {AT[end.kind]}") + double.count(f" at {AT[OutcomeKind.DEAD_LETTER]}") >= 2


@given(written(), st.data())
def test_a_retry_beside_an_end_is_noticed_at_its_offset(made: Written, data: st.DataObject) -> None:
    if made.ends:
        offset, end = data.draw(st.sampled_from(made.ends))
        made.moves.append((offset, Move(end.attempts, LANE, made.lanes_done + 7)))
        assert (Fault.DOUBLE, offset) in made.faults()


@given(written(), st.data())
def test_an_end_of_another_kind_or_name_is_a_wrong_digest(made: Written, data: st.DataObject) -> None:
    if made.ends:
        place = data.draw(st.integers(0, len(made.ends) - 1))
        offset, end = made.ends[place]
        made.ends[place] = (offset, replace(end, kind=OutcomeKind.RESULT, result_id=ident(offset + 1)))
        found = made.said()
        assert [type(one) for one in found] == [Finding]
        assert isinstance(found[0], Finding)
        assert found[0].fault is Fault.WRONG_DIGEST
        retried = any(origin == offset for origin, _ in made.moves)
        assert found[0].partition == (LANE if retried else INPUT)


@given(written(), st.data())
def test_an_outcome_of_a_hole_is_noticed(made: Written, data: st.DataObject) -> None:
    if holes := [offset for offset in made.stretch if offset not in made.records]:
        offset = data.draw(st.sampled_from(holes))
        made.ends.append((offset, End(OutcomeKind.RESULT, ident(1), 1, AT[OutcomeKind.RESULT])))
        assert made.faults() == {(Fault.NO_RECORD, offset)}


@given(written(), st.data())
def test_a_ledger_row_that_is_gone_or_there_twice_is_noticed(made: Written, data: st.DataObject) -> None:
    if made.rows:
        chosen = data.draw(st.sampled_from(made.rows))
        if data.draw(st.booleans()):
            made.rows.append(chosen)
            assert made.faults() == {(Fault.TWICE_IN_LEDGER, chosen.first)}
        else:
            made.rows.remove(chosen)
            assert made.faults() == {(Fault.NOT_IN_LEDGER, chosen.first)}


@given(written(), st.data())
def test_a_row_of_a_lane_that_is_gone_is_noticed_at_the_origin(made: Written, data: st.DataObject) -> None:
    if made.lane_rows:
        chosen = data.draw(st.sampled_from(made.lane_rows))
        made.lane_rows.remove(chosen)
        origins = {origin for origin, move in made.moves if move.offset == chosen.first}
        assert made.faults() == {(Fault.NOT_IN_LEDGER, origin) for origin in origins}


@given(written())
def test_what_waits_on_a_lane_is_no_fault_and_no_proof(made: Written) -> None:
    retried = {offset for offset, _ in made.moves}
    if retried:
        made.ends = [(offset, end) for offset, end in made.ends if offset not in retried]
        made.moves = [(offset, move) for offset, move in made.moves if move.attempts == 1]
        made.lane_rows, made.lanes_done = [], 0
        assert {one.first for one in made.said() if isinstance(one, Unseen)} == retried
        assert made.faults() == set()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outputs_since_ms": {OutcomeKind.RESULT: 5}}, "retention has passed their outputs"),
        ({"ledger_cut": True}, "retention has passed their ledger rows"),
    ],
)
def test_what_retention_took_is_no_fault_and_no_proof(changes: dict[str, object], why: str) -> None:
    made = Written(range(2), [0, 1], rows=[LedgerRow(0, 1, "d", 5, Counts(2, 0, 0))])
    if "ledger_cut" in changes:
        made.rows = []
        made.ends = [(offset, End(OutcomeKind.DEAD_LETTER, "", 1, AT[OutcomeKind.DEAD_LETTER])) for offset in (0, 1)]
    evidence = replace(made.evidence(), **changes)  # type: ignore[arg-type]  # fields by name
    assert list(check(evidence)) == [Unseen(INPUT, 0, 1, why)]


@pytest.mark.parametrize(
    ("taken", "spoilt", "since_ms", "said"),
    [
        (0, False, 0, None),
        (2, False, 0, None),
        (0, True, 0, Finding),
        (2, True, 0, Finding),
        (0, True, 5, Unseen),
        (2, True, 5, Unchecked),
    ],
)
def test_a_row_that_reaches_before_what_is_kept_is_held_against_the_outputs_that_are(
    *, taken: int, spoilt: bool, since_ms: int, said: type[object] | None
) -> None:
    """Retention took ``taken`` records of the input, and outputs up to ``since_ms``."""
    outcomes = Outcomes(range(4), {kind: at.partition.topic for kind, at in AT.items()}, kept_from=taken)
    outcomes.records(np.array([offset for offset in (0, 1, 3) if offset >= taken], np.int64))
    ends = [Outcome(OutcomeKind.RESULT, (), ident(offset)) for offset in (0, 1, 3)]
    for offset, end in zip((0, 1, 3), ends, strict=True):
        name = ident(7) if spoilt and not offset else end.result_id
        outcomes.end(offset, End(OutcomeKind.RESULT, name, 1, AT[OutcomeKind.RESULT]))
    only = row(INPUT, list(zip((0, 1, 3), ends, strict=True)))._replace(committed_at=5)
    evidence = replace(
        Written(range(4), []).evidence(),
        windows={INPUT: range(taken, 4)},
        outcomes={INPUT: outcomes},
        coverage={INPUT: cover([only])},
        outputs_since_ms={OutcomeKind.RESULT: since_ms},
    )
    assert [type(one) for one in check(evidence)] == ([] if said is None else [said])


def test_a_row_that_reaches_further_back_than_was_read_is_not_checked() -> None:
    far = row(INPUT, [(offset, Outcome(OutcomeKind.RESULT, (), ident(offset))) for offset in range(4)])
    ends = [(offset, End(OutcomeKind.RESULT, ident(offset), 1, AT[OutcomeKind.RESULT])) for offset in (2, 3)]
    assert Written(range(2, 4), [2, 3], ends=ends, rows=[far]).said() == [Unchecked(INPUT, far)]


@pytest.mark.parametrize(("other", "said"), [(None, True), (ident(1), False)])
def test_a_lane_row_with_a_record_of_another_partition_needs_what_became_of_it(
    *, other: str | None, said: bool
) -> None:
    """The records 0 of two partitions were taken from the lane together; the window is of one."""
    ends = [Outcome(OutcomeKind.RESULT, (), ident(number)) for number in (0, 1)]
    made = Written(range(1), [0], moves=[(0, Move(1, LANE, 0))], lanes_done=2)
    made.ends = [(0, End(OutcomeKind.RESULT, ident(0), 2, AT[OutcomeKind.RESULT]))]
    made.rows = [row(INPUT, [(0, Outcome(OutcomeKind.RETRY, ()))])]
    made.lane_rows = [row(LANE, list(enumerate(ends)))]
    beside = Chain([Move(1, LANE, 1)])
    if other is not None:
        beside.ends.append(End(OutcomeKind.RESULT, other, 2, AT[OutcomeKind.RESULT]))
    evidence, stranger = made.evidence(), TopicPartition("in", 1)
    held = {**evidence.lanes[LANE], 1: LaneRecord(stranger, 0, 1)}
    evidence = replace(evidence, lanes={LANE: held}, company={Place(stranger, 0): beside})
    assert list(check(evidence)) == ([Unchecked(LANE, made.lane_rows[0])] if said else [])


def test_each_transaction_is_judged_by_its_own_time_and_by_what_it_wrote() -> None:
    rows = [
        LedgerRow(0, 1, "d", 5, Counts(2, 0, 0)),
        LedgerRow(2, 3, "d", 6, Counts(0, 0, 2)),
        LedgerRow(4, 5, "d", 6, Counts(2, 0, 0)),
        LedgerRow(6, 7, "d", 7, Counts(2, 0, 0)),
    ]
    made = Written(range(8), list(range(8)), rows=rows)
    cut = replace(made.evidence(), outputs_since_ms={OutcomeKind.RESULT: 6, OutcomeKind.RETRY: 9})
    told = [(type(one), one.first, one.last) for one in check(cut) if not isinstance(one, Unchecked)]
    assert told == [(Unseen, 0, 1), (Finding, 2, 3), (Unseen, 4, 5), (Finding, 6, 7)]


@pytest.mark.parametrize(("since_ms", "said"), [(4, Finding), (5, Unseen)])
def test_what_retention_took_of_a_record_that_went_over_a_lane_is_no_fault(since_ms: int, said: type[object]) -> None:
    made = Written(range(1), [0], moves=[(0, Move(1, LANE, 0))], lanes_done=1)
    made.rows = [row(INPUT, [(0, Outcome(OutcomeKind.RETRY, ()))])]
    made.lane_rows = [LedgerRow(0, 0, "d", 5, Counts(0, 0, 1))]
    evidence = replace(made.evidence(), outputs_since_ms={OutcomeKind.DEAD_LETTER: since_ms})
    (one,) = (one for one in check(evidence) if not isinstance(one, Unchecked))
    assert isinstance(one, said)


@pytest.mark.parametrize(("attempts", "double"), [(1, True), (2, False), (0, False)])
def test_an_end_of_the_try_that_was_retried_is_a_double(*, attempts: int, double: bool) -> None:
    chain = Chain([Move(1, LANE, 0)], [End(OutcomeKind.RESULT, ident(1), attempts, AT[OutcomeKind.RESULT])])
    assert any(chain.doubles()) == double
    assert (chain.outcome_after(0) == "retry:") != double


def test_something_that_came_of_a_record_that_still_waits_is_a_double() -> None:
    end = End(OutcomeKind.RESULT, ident(1), 2, AT[OutcomeKind.RESULT])
    made = Written(range(1), [0], moves=[(0, Move(1, LANE, 0))], ends=[(0, end)])
    made.rows = [row(INPUT, [(0, Outcome(OutcomeKind.RETRY, ()))])]
    assert made.faults() == {(Fault.DOUBLE, 0)}
    busy = replace(made.evidence(), lanes_taken={LANE: 1})  # taken while the logs were read: nothing is said of it
    assert list(check(busy)) == []
