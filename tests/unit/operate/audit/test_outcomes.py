"""Results that are noted all at once are noted as one by one."""

import uuid

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.audit.chain import End, Move
from streamproc.operate.audit.outcomes import ID_BYTES, Outcomes
from streamproc.operate.place import Place
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import TopicPartition

OUT = TopicPartition("out", 999_999)
STRETCH = range(100, 110)


def outcomes(records: list[int], moved: int, dead: int) -> Outcomes:
    """A retry of one offset is known, and the dead letter of another."""
    made = Outcomes(STRETCH, {OutcomeKind.RESULT: "out", OutcomeKind.DEAD_LETTER: "dlq"})
    made.records(np.array(records, np.int64))
    made.move(moved, Move(1, TopicPartition("lane", 0), 3))
    made.end(dead, End(OutcomeKind.DEAD_LETTER, "", 1, Place(TopicPartition("dlq", 0), 7)))
    return made


@given(
    st.lists(st.integers(100, 109), unique=True),
    st.lists(st.integers(100, 109)),
    st.integers(100, 109),
    st.integers(100, 109),
)
def test_all_at_once_is_as_one_by_one(records: list[int], results: list[int], moved: int, dead: int) -> None:
    ends = [End(OutcomeKind.RESULT, str(uuid.UUID(int=n)), 1, Place(OUT, 2**44 - 1 - n)) for n in range(len(results))]
    single, whole = outcomes(records, moved, dead), outcomes(records, moved, dead)
    for offset, end in zip(results, ends, strict=True):
        single.end(offset, end)
    ids = np.frombuffer("".join(end.result_id for end in ends).encode(), np.uint8).reshape(-1, ID_BYTES)
    stand = np.array([(end.at.partition.partition, end.at.offset) for end in ends], np.uint64).reshape(-1, 2)
    noted = whole.results(np.array(results, np.int64), ids, stand)
    for offset, end in [one for one, done in zip(zip(results, ends, strict=True), noted, strict=True) if not done]:
        whole.end(offset, end)
    assert [whole.line(offset) for offset in STRETCH] == [single.line(offset) for offset in STRETCH]
    assert whole.chains == single.chains
    assert whole.without_record.keys() == single.without_record.keys()
