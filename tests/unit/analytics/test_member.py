from collections.abc import Mapping
from typing import Any

import pytest

from streamproc.analytics.member import Member
from streamproc.analytics.partial import Partial, Progress, decode
from streamproc.errors import DependencyDownError, PoisonError, Reason, Stage
from streamproc.settings import Settings

SETTINGS = Settings()
RESULTS, SEGMENTS = SETTINGS.topics.results, SETTINGS.topics.segments
ROW = {"tenant": "t", "agent": "a", "queue": None, "language": "de", "label": "sad", "confidence": 0.5}


class Rows:
    """Reads rows that are given, by their value."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Mapping[str, Any]] = {}
        self.away = False

    def read(self, value: bytes | None) -> Mapping[str, Any]:
        if self.away:
            raise DependencyDownError("schema registry", "it is not there")
        if value not in self.rows:
            raise PoisonError(Reason.AVRO_INVALID, Stage.ADMIT, "no row")
        return self.rows[value]


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def member(rows: Rows) -> Member:
    member = Member(SETTINGS, rows, rows)
    member.own([0, 1])
    return member


def put(member: Member, rows: Rows, offset: int, partition: int = 0, **changed: Any) -> None:
    value = f"{partition}/{offset}".encode()
    rows.rows[value] = {**ROW, "result_id": f"r{offset}", "recorded_at": 1000, "produced_at": 2000, **changed}
    member.take(RESULTS, partition, offset, 0, value)


def told(member: Member) -> dict[Any, int]:
    partials = [decode(record.key, record.value) for record in member.records()]
    return {(p.place.partition, *p.place.key): p.tally.results for p in partials if isinstance(p, Partial) and p.tally}


def test_a_result_counts_for_everything_and_for_each_attribute_it_has(member: Member, rows: Rows) -> None:
    put(member, rows, 0)
    assert told(member) == {(0, "all", ""): 1, (0, "tenant", "t"): 1, (0, "agent", "a"): 1}
    assert told(member) == {}


def test_rows_of_partitions_that_are_not_owned_and_rows_read_before_change_nothing(member: Member, rows: Rows) -> None:
    put(member, rows, 5, partition=2)
    put(member, rows, 7)
    put(member, rows, 6)
    assert told(member)[0, "all", ""] == 1
    assert (member.next(RESULTS, 0), member.next(SEGMENTS, 0)) == (8, None)


def test_a_partition_that_goes_is_forgotten_and_one_that_stays_is_kept(member: Member, rows: Rows) -> None:
    put(member, rows, 0)
    put(member, rows, 0, partition=1)
    member.own([1, 3])
    member.tell_all()
    assert set(told(member)) == {(1, "all", ""), (1, "tenant", "t"), (1, "agent", "a")}
    member.own([0, 1])
    assert member.next(RESULTS, 0) is None
    assert member.next(RESULTS, 1) == 1


def test_a_row_that_is_none_is_left_out_and_counted(member: Member, rows: Rows) -> None:
    member.take(RESULTS, 0, 0, 0, b"nonsense")
    put(member, rows, 1, recorded_at=None)
    progress = [decode(record.key, record.value) for record in member.records()]
    assert [told.left_out for told in progress if isinstance(told, Progress)] == [
        {"incomplete": 1, "unreadable": 1},
        {},
    ]
    assert member.next(RESULTS, 0) == 2


def test_a_row_whose_schema_cannot_be_asked_for_is_taken_again(member: Member, rows: Rows) -> None:
    rows.away = True
    with pytest.raises(DependencyDownError):
        put(member, rows, 0)
    rows.away = False
    put(member, rows, 0)
    assert told(member)[0, "all", ""] == 1


def test_a_segment_without_scores_of_ours_says_nothing(member: Member, rows: Rows) -> None:
    columns = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")
    rows.rows[b"s"] = {
        "result_id": "r",
        "index": 0,
        "start_ms": 0,
        "recorded_at": 1000,
        **{f"score_{name}": None for name in columns},
    }
    member.take(SEGMENTS, 0, 0, 2000, b"s")
    assert told(member) == {}
    assert member.next(SEGMENTS, 0) == 1
