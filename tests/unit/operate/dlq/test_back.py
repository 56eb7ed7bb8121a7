import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.dlq.back import CLOCKS_MS, Back, Note, Went, note, read_back
from streamproc.operate.foreign import Foreign
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import TopicSettings

ZERO, ONE = TopicPartition("in.dlq", 0), TopicPartition("in.dlq", 1)
TOPICS = TopicSettings(recordings="in")
NOTES = TopicPartition("in.replays", 0)
ALL = {ZERO: range(1_000), ONE: range(1_000)}


def went(number: int) -> Went:
    return Went(number, number, number)


def told(*runs: tuple[int, int], by: Went) -> Note:
    return Note(np.array(runs, dtype=np.int64).reshape(-1, 2), by)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=10), st.randoms())
def test_what_was_put_back_is_known_by_its_place(spans: Sequence[tuple[int, int]], draw: Any) -> None:
    notes: list[Note] = []
    expected: dict[int, Went] = {}
    at = 0
    for number, (gap, length) in enumerate(spans):
        first = at + gap
        at = first + length
        notes.append(told((first, at), by=went(number)))
        expected |= dict.fromkeys(range(first, at), went(number))
    draw.shuffle(notes)
    back = Back({ZERO: notes})
    assert {offset: back.find(ZERO, offset, 0) for offset in range(at + 3)} == {
        offset: expected.get(offset) for offset in range(at + 3)
    }
    assert back.find(ONE, 1, 0) is None


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), max_size=6),
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), max_size=6),
)
def test_letters_of_a_topic_that_was_made_anew_are_not_those_of_the_old_notes(
    old: Sequence[tuple[int, int]], new: Sequence[tuple[int, int]]
) -> None:
    """The letters of the old topic were given up until 10, those of the new one since 20."""
    notes = [told((first, first + length), by=Went(10, 10, 10)) for first, length in old]
    notes += [told((first, first + length), by=Went(30, 30, 25)) for first, length in new]
    back = Back({ZERO: notes})
    for offset in range(45):
        covered = any(first <= offset < first + length for first, length in new)
        assert (back.find(ZERO, offset, 20) is not None) == covered


def test_a_note_names_the_partition_and_the_runs_of_a_transaction() -> None:
    record = note("in.replays", ONE, [range(3, 5), range(9, 10)], began_ms=7, newest_ms=6)
    assert (record.topic, record.key) == ("in.replays", b"in.dlq/1")
    assert json.loads(record.value or b"") == {"put_back": [[3, 5], [9, 10]], "began_ms": 7, "newest_ms": 6}


@dataclass
class Log:
    """A topic of notes: those of a transaction that is open are there once somebody has waited for it."""

    records: Sequence[Record]
    hidden: Sequence[Record] = ()
    settles: bool = True
    waited: list[float] = field(default_factory=list)

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        assert topic == NOTES.topic
        return [NOTES]

    def settled(self, _partitions: object, patience_s: float) -> bool:
        self.waited.append(patience_s)
        if self.settles:
            self.records, self.hidden = [*self.records, *self.hidden], ()
        return self.settles

    def bounds(self, _partitions: object) -> Mapping[TopicPartition, range]:
        return {NOTES: range(len(self.records))}

    def at(self, _partitions: object, at_ms: int) -> Mapping[TopicPartition, int]:
        assert at_ms >= 0
        later = (place for place, one in enumerate(self.records) if one.timestamp_ms >= at_ms)
        return {NOTES: next(later, len(self.records))}

    def read(self, stretches: Mapping[TopicPartition, range], _take: object) -> Iterator[Sequence[Record]]:
        yield [self.records[offset] for offset in stretches[NOTES]]


def record(partition: TopicPartition, *runs: range, at_ms: int = 50, newest_ms: int = 40) -> Record:
    one = note(NOTES.topic, partition, runs, began_ms=at_ms - 1, newest_ms=newest_ms)
    return Record(*NOTES, 0, at_ms, one.key, one.value)


def read(
    log: Log, letters: Mapping[TopicPartition, range] = ALL, since_ms: int = 0, foreign: Foreign | None = None
) -> Back:
    return read_back(cast("Any", log), TOPICS, foreign or Foreign(), letters, since_ms, 2.5)


def test_what_a_transaction_notes_that_is_about_to_end_is_waited_for() -> None:
    log = Log([record(ZERO, range(2))], hidden=[record(ZERO, range(5, 6))])
    back = read(log)
    assert (back.find(ZERO, 5, 0), log.waited, back.undecided) == (Went(49, 50, 40), [2.5], False)


def test_what_is_still_open_then_is_said() -> None:
    back = read(Log([record(ZERO, range(2))], hidden=[record(ZERO, range(5, 6))], settles=False))
    assert back.undecided
    assert [back.find(ZERO, offset, 0) is not None for offset in (1, 5)] == [True, False]


def test_notes_are_read_from_the_time_of_the_first_letter_on_whatever_the_clocks() -> None:
    since_ms = 10 * CLOCKS_MS
    early = record(ZERO, range(1), at_ms=since_ms - CLOCKS_MS - 1, newest_ms=since_ms)
    slow = record(ZERO, range(1, 2), at_ms=since_ms - CLOCKS_MS, newest_ms=since_ms)
    back = read(Log([early, slow]), since_ms=since_ms)
    assert [back.find(ZERO, offset, since_ms) is not None for offset in (0, 1)] == [False, True]


def test_notes_of_other_letters_are_not_kept() -> None:
    log = Log([record(ZERO, range(4), range(6, 8), range(9, 30)), record(ONE, range(50)), record(ZERO, range(90, 99))])
    back = read(log, {ZERO: range(7, 10), ONE: range(0)})
    assert [offset for offset in range(100) if back.find(ZERO, offset, 0)] == [6, 7, *range(9, 30)]
    assert back.find(ONE, 5, 0) is None


def test_who_asks_of_no_letter_reads_nothing() -> None:
    log = Log([])
    assert read(log, {ZERO: range(3, 3)}).find(ZERO, 3, 0) is None
    assert log.waited == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"junk", b"{}"),
        (b"in.dlq/0", b"junk"),
        (b"in.dlq/0", None),
        (b"in.dlq/0", b"[]"),
        (b"in.dlq/0", b'{"put_back":[[1,2]]}'),
        (b"in.dlq/0", b'{"put_back":[[1,2,3]],"began_ms":1,"newest_ms":1}'),
        (b"in.dlq/0", b'{"put_back":[[1,1e40]],"began_ms":1,"newest_ms":1}'),
        (b"in.dlq/0", b'{"put_back":[[1,%d]],"began_ms":1,"newest_ms":1}' % 10**30),
        (b"in.dlq/0", b'{"put_back":[[1,2]],"began_ms":Infinity,"newest_ms":1}'),
        (b"in.dlq/0", b"[" * 100_000),
    ],
)
def test_what_is_no_note_is_passed_over_and_told(key: bytes, value: bytes | None) -> None:
    foreign = Foreign()
    back = read(Log([Record(*NOTES, 0, 1, key, value), record(ZERO, range(4, 5))]), foreign=foreign)
    assert (foreign.count, back.find(ZERO, 4, 0)) == (1, Went(49, 50, 40))
