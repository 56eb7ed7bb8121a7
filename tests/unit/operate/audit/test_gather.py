"""Results that are taken by thousands are judged as each alone is."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.demo.clips import load_manifest
from streamproc.demo.plan import build_plan
from streamproc.operate.audit.chain import Chain
from streamproc.operate.audit.finding import Fault
from streamproc.operate.audit.gather import Bare, Gathered
from streamproc.operate.audit.outcomes import Outcomes
from streamproc.operate.place import Place
from streamproc.records.avro import encode, frame, schema_of
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import TopicPartition
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from tests.unit.demo.made import result, sent

TOPICS = Settings().topics
ZERO, ONE, NONE = (TopicPartition(TOPICS.recordings, number) for number in (0, 1, 9))
ENDS = {ZERO: 10, ONE: 10}
ROW = result(sent(list(build_plan(load_manifest(), "r")))[0], input_topic=TOPICS.recordings)
NOT_ASCII = "\N{LATIN SMALL LETTER A WITH DIAERESIS}" * 18
"""As many bytes as an id has."""
BESIDE = Place(ZERO, 7)


def bare(partition: int, offset: int, **changes: object) -> Bare:
    row = ROW._replace(input_partition=partition, input_offset=offset, **changes)  # type: ignore[arg-type]  # by name
    return 3, 100 + offset, frame(1, encode(row))


def gathered() -> tuple[Gathered, Outcomes]:
    """Asked about the offsets 0 to 4 of partition 0, of which 3 has no record, and about 7 in the company of them."""
    registry = SimpleNamespace(get_schema=lambda _: SimpleNamespace(schema_str=schema_of(EmotionResult).text))
    held = Outcomes(range(5), {OutcomeKind.RESULT: TOPICS.results, OutcomeKind.DEAD_LETTER: TOPICS.dead_letters})
    held.records(np.array([0, 1, 2, 4], np.int64))
    made = Gathered(TOPICS, registry, ENDS)  # type: ignore[arg-type]  # all that is asked
    made.expect({ZERO: held})
    made.expect_company({BESIDE: Chain()})
    return made, held


def test_results_of_another_input_are_passed_over() -> None:
    made, held = gathered()
    made.results([bare(0, offset, input_topic="audio.other") for offset in (0, 1, 77)])
    assert [held.line(offset) for offset in (0, 1)] == [None, None]
    assert made.findings == []


@pytest.mark.parametrize(("partition", "offset"), [(0, -1), (0, 10), (0, 77), (1, -1), (1, 10), (9, 0)])
def test_a_result_of_an_offset_that_the_input_does_not_have_is_named(partition: int, offset: int) -> None:
    made, _ = gathered()
    made.results([bare(0, 0), bare(partition, offset), bare(0, 6), bare(1, 6)])
    (only,) = made.findings
    assert (only.fault, only.partition.partition, only.first) == (Fault.NO_RECORD, partition, offset)


@pytest.mark.parametrize("ident", [NOT_ASCII, "short", ""])
def test_a_result_whose_id_is_none_is_named_where_it_stands(ident: str) -> None:
    made, held = gathered()
    made.results([bare(0, 0), bare(0, 1, result_id=ident)])
    (only,) = made.findings
    assert (only.fault, only.partition, only.first) == (Fault.UNREADABLE, TopicPartition(TOPICS.results, 3), 101)
    assert (held.line(0), held.line(1)) == (f"0:result:{ROW.result_id}\n", None)


def test_a_result_of_the_company_is_kept_for_it() -> None:
    made, _ = gathered()
    made.results([bare(0, 0), bare(0, 7), bare(0, 8)])
    (end,) = made.company[BESIDE].ends
    assert (end.kind, end.result_id, end.at) == (
        OutcomeKind.RESULT,
        ROW.result_id,
        Place(TopicPartition(TOPICS.results, 3), 107),
    )


@given(
    st.lists(
        st.builds(
            bare,
            st.sampled_from([0, 0, 0, 1, 9]),
            st.integers(-2, 12),
            result_id=st.sampled_from([ROW.result_id, NOT_ASCII, "short"]),
            input_topic=st.sampled_from([TOPICS.recordings, TOPICS.recordings, "audio.other"]),
        )
    )
)
def test_all_at_once_is_as_one_by_one(bares: list[Bare]) -> None:
    (whole, at_once), (single, alone) = gathered(), gathered()
    whole.results(bares)
    for one in bares:
        single.result(one)
    assert whole.findings == single.findings
    assert [at_once.line(offset) for offset in range(5)] == [alone.line(offset) for offset in range(5)]
    assert at_once.chains == alone.chains
    assert at_once.without_record.keys() == alone.without_record.keys()
    assert whole.company == single.company
