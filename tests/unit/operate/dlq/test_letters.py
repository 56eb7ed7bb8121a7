from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from streamproc.errors import UsageError
from streamproc.operate.dlq import letters as room
from streamproc.operate.dlq.back import UndecidedError, note
from streamproc.operate.dlq.choice import Choice
from streamproc.operate.dlq.letters import GLANCE_S, Letters
from streamproc.operate.place import Place
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import Settings, TopicSettings
from tests.unit.operate.dlq.made import dead

ZERO, ONE = TopicPartition("in.dlq", 0), TopicPartition("in.dlq", 1)
NOTES = TopicPartition("in.replays", 0)
HOUR_MS = 3_600_000


class Log:
    """Topics in memory."""

    def __init__(self, records: Mapping[TopicPartition, Sequence[Record]], *, settles: bool = True) -> None:
        self._records = records
        self._settles = settles
        self.waited_s = 0.0

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        return [place for place in self._records if place.topic == topic]

    def settled(self, _partitions: object, patience_s: float) -> bool:
        self.waited_s = patience_s
        return self._settles

    def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, range]:
        return {place: range(len(self._records[place])) for place in partitions}

    def at(self, partitions: Sequence[TopicPartition], at_ms: int) -> Mapping[TopicPartition, int]:
        def first(records: Sequence[Record]) -> int:
            return next((at for at, one in enumerate(records) if one.timestamp_ms >= at_ms), len(records))

        return {place: first(self._records[place]) for place in partitions}

    def read(
        self, stretches: Mapping[TopicPartition, range], _take: Callable[[object], object]
    ) -> Iterator[list[Record]]:
        for place, stretch in stretches.items():
            yield [self._records[place][offset] for offset in stretch]

    def first(self, stretches: Mapping[TopicPartition, range], take: Callable[[object], object]) -> Record | None:
        return next((one for some in self.read(stretches, take) for one in some), None)


def letters(log: Log, *, certain: bool = False) -> Letters:
    settings = Settings(topics=TopicSettings(recordings="in"))
    return Letters(settings, cast("Any", log), cast("Any", None), certain=certain)


def noted(*runs: range, at_ms: int, newest_ms: int) -> Record:
    told = note(NOTES.topic, ZERO, runs, began_ms=at_ms, newest_ms=newest_ms)
    return Record(*NOTES, 0, at_ms, told.key, told.value)


def topics(notes: Sequence[Record] = ()) -> Mapping[TopicPartition, Sequence[Record]]:
    zero = [dead(offset, 0, 10 * HOUR_MS + 2 * offset) for offset in range(4)]
    one = [dead(offset, 1, 10 * HOUR_MS + 3 + 2 * offset) for offset in range(3)]
    return {ZERO: zero, ONE: one, NOTES: notes}


def test_letters_are_known_to_be_put_back_by_the_notes_of_their_topic() -> None:
    old = noted(range(4), at_ms=9 * HOUR_MS, newest_ms=9 * HOUR_MS)
    new = noted(range(1, 2), at_ms=11 * HOUR_MS, newest_ms=10 * HOUR_MS + 2)
    found = letters(Log(topics([old, new]))).chosen(Choice())
    put_back = {letter.place: letter.put_back_ms for letter in found if letter.put_back_ms is not None}
    assert put_back == {Place(ZERO, 1): 11 * HOUR_MS}


def test_a_clock_that_is_minutes_behind_hides_no_note() -> None:
    """A letter that is held to be open goes back twice."""
    behind = noted(range(4), at_ms=10 * HOUR_MS - 300_000, newest_ms=10 * HOUR_MS + 6)
    found = letters(Log(topics([behind]))).chosen(Choice(open=True))
    assert {letter.place.partition for letter in found} == {ONE}


def test_the_next_letter_may_be_older_than_the_first() -> None:
    records = {
        ZERO: [dead(0, at_ms=HOUR_MS), dead(1, at_ms=HOUR_MS - 30_000)],
        NOTES: [noted(range(1, 2), at_ms=HOUR_MS + 1, newest_ms=HOUR_MS - 30_000)],
    }
    found = letters(Log(records)).chosen(Choice(open=True))
    assert [letter.place.offset for letter in found] == [0]


@pytest.mark.parametrize("most", [1, 3, 1_000])
def test_they_are_listed_by_time_without_what_they_began_as(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(room, "_ORDERED", most)
    since_ms = 10 * HOUR_MS + 1
    found = [*letters(Log(topics())).in_order(Choice(since_ms=since_ms))]
    assert [letter.told.at_ms - 10 * HOUR_MS for letter in found] == [2, 3, 4, 5, 6, 7]
    assert [letter.event or letter.record.value for letter in found] == [None] * 6


def test_who_looks_is_told_what_is_not_decided_and_who_puts_back_is_stopped() -> None:
    log = Log(topics(), settles=False)
    looked = letters(log)
    assert len([*looked.chosen(Choice())]) == 7
    assert (looked.undecided, log.waited_s) == (True, GLANCE_S)
    with (
        capture_logs() as logged,
        pytest.raises(UndecidedError, match=r"in\.replays has a transaction that was neither .* within 40 s"),
    ):
        next(letters(log, certain=True).read({ZERO: range(4)}))
    assert [(line["event"], line["seconds"]) for line in logged] == [("a replay's transaction is open", 40)]


def test_what_is_decided_is_certain() -> None:
    sure = letters(Log(topics()), certain=True)
    assert len([*sure.chosen(Choice())]) == 7
    assert not sure.undecided


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place(TopicPartition("in", 0), 77), r"`streamproc why in/0/77` tells"),
        (Place(TopicPartition("foo", 1), 2), r"foo is no topic of these settings, whose input is in$"),
        (Place(TopicPartition("in.dlq", 9), 0), r"in\.dlq has no partition 9: it has 2"),
        (Place(ONE, 3), r"in\.dlq/1/3 is not kept: in\.dlq/1 begins at 0 and ends before 3"),
        (Place(ZERO, 4), r"no dead letter stands at in\.dlq/0/4: 1 record was passed over: in\.dlq/0/4 has not"),
    ],
)
def test_a_letter_that_is_not_there_is_told_with_what_helps(place: Place, says: str) -> None:
    records = dict(topics())
    records[ZERO] = [*records[ZERO], Record(*ZERO, 4, 10 * HOUR_MS, None, None)]
    with pytest.raises(UsageError, match=says) as raised:
        letters(Log(records)).one(place)
    assert ("why" in str(raised.value)) == (place.partition.topic == "in")


def test_a_letter_is_found_by_either_place() -> None:
    log = Log(topics([noted(range(2, 3), at_ms=11 * HOUR_MS, newest_ms=10 * HOUR_MS + 4)]))
    by_place = letters(log).one(Place(ZERO, 2))
    assert by_place.put_back_ms == 11 * HOUR_MS
    assert letters(log).one(Place(TopicPartition("in", 0), 3)).place == Place(ZERO, 3)
