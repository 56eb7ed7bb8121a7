from collections.abc import Mapping
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from streamproc.analytics.member import Member
from streamproc.analytics.observation import Observation, Step
from streamproc.analytics.partial import Partial, Progress, decode, terms
from streamproc.analytics.view import View
from streamproc.errors import DependencyDownError, PoisonError, Reason, Stage
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings
from tests.unit.analytics import rows as made

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


def put(
    member: Member, rows: Rows, offset: int, partition: int = 0, written_at: int | None = None, **changed: Any
) -> None:
    """``written_at`` is what its record says, by default when it was produced."""
    value = f"{partition}/{offset}".encode()
    row = {**ROW, "result_id": f"r{offset}", "recorded_at": 1000, "produced_at": 2000, **changed}
    rows.rows[value] = row
    member.take(RESULTS, partition, offset, row["produced_at"] if written_at is None else written_at, value)


def decode_record(record: OutputRecord) -> Partial | Progress:
    return decode(record.key, record.value)


def told(member: Member) -> dict[Any, int]:
    partials = [decode(record.key, record.value) for record in member.records()]
    return {(p.place.partition, *p.place.key): p.tally.results for p in partials if isinstance(p, Partial) and p.tally}


def test_a_result_counts_for_everything_and_for_each_attribute_it_has(member: Member, rows: Rows) -> None:
    put(member, rows, 0)
    assert told(member) == {(0, "all", ""): 1, (0, "tenant", "t"): 1, (0, "agent", "a"): 1}
    assert told(member) == {}


def test_a_value_that_is_no_name_counts_among_others(member: Member, rows: Rows) -> None:
    put(member, rows, 0, agent="a" * 257, tenant="t" * 256)
    assert told(member) == {(0, "all", ""): 1, (0, "tenant", "t" * 256): 1, (0, "agent", "(other)"): 1}


def test_a_character_that_no_row_of_ours_holds_is_taken_out_of_a_value(member: Member, rows: Rows) -> None:
    put(member, rows, 0, agent="a\0b", tenant="\0")
    assert told(member) == {(0, "all", ""): 1, (0, "agent", "ab"): 1}


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


def test_the_first_row_that_is_none_is_named(member: Member) -> None:
    with structlog.testing.capture_logs() as log:
        for offset in (3, 4):
            member.take(RESULTS, 1, offset, 0, b"nonsense")
    assert [(line["topic"], line["partition"], line["offset"]) for line in log] == [(RESULTS, 1, 3)]


def test_a_confidence_that_is_no_share_is_brought_back_to_one(member: Member, rows: Rows) -> None:
    put(member, rows, 0, confidence=-5.0)
    put(member, rows, 1, confidence=5.0)
    found = [one for one in map(decode_record, member.records()) if isinstance(one, Partial)]
    assert {one.tally.confidence for one in found if one.tally} == {1_000_000}


DAY_MS = 86_400_000
AHEAD_MS = SETTINGS.analytics.ahead_s * 1000


@pytest.mark.parametrize(
    ("recorded_at", "produced_at", "left_out"),
    [
        (40 * DAY_MS, 40 * DAY_MS, 1),  # of a host whose date is wrong: both agree
        (DAY_MS, DAY_MS + AHEAD_MS + 1, 1),
        (DAY_MS + AHEAD_MS + 1, DAY_MS + AHEAD_MS, 1),
        (DAY_MS + AHEAD_MS, DAY_MS + AHEAD_MS, 0),
    ],
)
def test_a_row_ahead_of_its_record_ends_no_windows(
    member: Member, rows: Rows, recorded_at: int, produced_at: int, left_out: int
) -> None:
    put(member, rows, 0, recorded_at=recorded_at, produced_at=produced_at, written_at=DAY_MS)
    put(member, rows, 1, recorded_at=DAY_MS, produced_at=DAY_MS)
    progress = [one for one in map(decode_record, member.records()) if isinstance(one, Progress)]
    assert progress[0].left_out == ({"ahead": 1} if left_out else {})
    assert progress[0].watermark == (DAY_MS if left_out else DAY_MS + AHEAD_MS)
    member.tell_all()
    assert told(member)[0, "all", ""] == 2 - left_out


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
        "channel": 0,
        "start_ms": 0,
        "recorded_at": 1000,
        **{f"score_{name}": None for name in columns},
    }
    member.take(SEGMENTS, 0, 0, 2000, b"s")
    assert told(member) == {}
    assert member.next(SEGMENTS, 0) == 1


WINDOWS = Settings(analytics=made.SETTINGS)
COLUMNS = ("disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")


class Log:
    """The topics of made rows: each row at the next offset of its partition."""

    def __init__(self, rows: list[made.Read]) -> None:
        self.reader = Rows()
        self.records: list[tuple[str, int, int, int, bytes]] = []
        ends: dict[tuple[str, int], int] = {}
        for number, read in enumerate(rows):
            topic, row = _row(read.row)
            value = str(number).encode()
            self.reader.rows[value] = row
            offset = ends.get((topic, read.partition), 0)
            ends[topic, read.partition] = offset + 1
            self.records.append((topic, read.partition, offset, made.written(read.row), value))

    def owner(self) -> Member:
        return Member(WINDOWS, self.reader, self.reader)


def _row(row: Observation | Step) -> tuple[str, Mapping[str, Any]]:
    if isinstance(row, Observation):
        plain = {"tenant": None, "queue": None, "agent": row.keys[1][1], "language": None}
        times = {"recorded_at": row.recorded_at, "produced_at": row.produced_at}
        sure = row.confidence / 1_000_000
        return RESULTS, {**plain, **times, "result_id": row.result_id, "label": row.label, "confidence": sure}
    place = {"start_ms": row.mark.start_ms, "index": row.mark.index, "recorded_at": row.recorded_at}
    place["channel"] = row.channel
    scores = {"score_angry": row.mark.negativity / 1_000_000, **{f"score_{name}": 0.0 for name in COLUMNS}}
    return SEGMENTS, {"result_id": row.result_id, **place, **scores}


def hear(view: View, member: Member) -> None:
    for record in member.records():
        view.take(decode(record.key, record.value))


@given(made.reads(), st.integers(0, 40), st.integers(0, 40))
def test_a_successor_that_begins_where_it_was_told_has_the_same_windows(
    rows: list[made.Read], died: int, told: int
) -> None:
    """It was told at any moment before its predecessor died, which had read on meanwhile."""
    log, partitions = Log(rows), range(made.PARTITIONS)
    view = View(made.CALENDAR, terms(WINDOWS))
    first = log.owner()
    first.own(partitions)
    for number, record in enumerate(log.records[:died]):
        first.take(*record)
        if number == told:
            hear(view, first)
    second = log.owner()
    second.own(partitions, {progress.partition: progress for progress in view.progress})
    for record in log.records:
        second.take(*record)
    second.tell_all()
    hear(view, second)
    assert made.shown(view) == made.recomputed(rows)


def test_a_successor_does_not_begin_with_what_is_over(member: Member, rows: Rows) -> None:
    day_ms = 86_400_000
    for number, day in enumerate([0, 0, 10, 10, 9]):
        put(member, rows, number, recorded_at=day * day_ms, produced_at=day * day_ms)
    progress = [decode(record.key, record.value) for record in member.records()]
    assert [(told.live_from, told.read) for told in progress if isinstance(told, Progress)] == [
        ({RESULTS: 2}, {RESULTS: 5}),
        ({}, {}),
    ]


def test_a_successor_knows_how_far_its_predecessor_had_read(member: Member, rows: Rows) -> None:
    """Though it begins before: a topic that ends earlier is another one of the same name."""
    for number in range(3):
        put(member, rows, number)
    told = [one for one in map(decode_record, member.records()) if isinstance(one, Progress)]
    successor = Member(SETTINGS, rows, rows)
    successor.own([0, 1], {one.partition: one for one in told})
    assert (successor.next(RESULTS, 0), successor.read(RESULTS, 0), successor.read(RESULTS, 1)) == (0, 3, 0)
