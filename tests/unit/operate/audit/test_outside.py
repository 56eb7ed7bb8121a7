"""What names offsets that a topic does not have."""

import pytest

from streamproc.operate.audit.finding import Fault
from streamproc.operate.audit.ledger import Counts, LedgerRow, cover
from streamproc.operate.audit.outside import committed_outside, rows_outside
from streamproc.records.record import TopicPartition

P = TopicPartition("audio.recordings", 0)


@pytest.mark.parametrize(("committed", "said"), [(0, []), (9, []), (10, []), (11, [(10, 10)]), (99, [(10, 98)])])
def test_a_group_comes_no_further_than_the_end(committed: int, said: list[tuple[int, int]]) -> None:
    found = list(committed_outside({P: range(5, 10)}, {P: committed}))
    assert [(one.first, one.last) for one in found] == said
    assert {one.fault for one in found} <= {Fault.OUTSIDE}


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (0, 0, []),
        (3, 9, []),
        (3, 10, [(10, 10)]),
        (10, 10, [(10, 10)]),
        (12, 14, [(12, 14)]),
        (-1, 3, [(-1, 3)]),
        (5, 4, [(5, 4)]),
    ],
)
def test_a_row_is_of_offsets_that_are_there(first: int, last: int, said: list[tuple[int, int]]) -> None:
    coverage = {P: cover([LedgerRow(first, last, "d", 1, Counts(1, 0, 0))])}
    assert [(one.first, one.last) for one in rows_outside(coverage, [P], {P: 10})] == said
    assert len(list(rows_outside(coverage, [P], {}))) == 1
