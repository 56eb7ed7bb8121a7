"""What a window is, where a group stands still."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import UsageError
from streamproc.operate.audit.window import Moment, Selection, unseen, visible, waiting, windows
from streamproc.records.record import TopicPartition

P = TopicPartition("audio.recordings", 0)
KEPT = {P: range(100)}


class Log:
    """50 records are older than the moment that is asked for, 50 younger."""

    def at(self, partitions: Mapping[TopicPartition, range], at_ms: int) -> Mapping[TopicPartition, int]:
        assert at_ms
        return dict.fromkeys(partitions, 50)


def window(done: int) -> range:
    return windows(Log(), KEPT, {P: done}, Selection(first=Moment(1)))[P]  # type: ignore[arg-type]  # all that is asked


def test_a_group_that_stands_still_before_the_window_has_not_done_it() -> None:
    found = window(done=10)
    assert not visible(found, KEPT[P], 10)
    assert [(one.first, one.last, one.why) for one in unseen(P, found, KEPT[P], 10)] == [(50, 99, "not committed yet")]


def test_the_window_of_a_group_that_goes_on_ends_where_it_is() -> None:
    assert window(done=80) == range(50, 80)
    assert not list(unseen(P, window(done=80), KEPT[P], 80))


@pytest.mark.parametrize("apart_ms", [1, 3_600_000])
def test_times_that_are_turned_round_are_refused_where_nothing_stands_between_them(apart_ms: int) -> None:
    turned = Selection(first=Moment(10_000_000), end=Moment(10_000_000 - apart_ms))
    with pytest.raises(UsageError, match="the window ends before it begins"):
        windows(Log(), KEPT, {P: 100}, turned)  # type: ignore[arg-type]  # all that is asked


@given(*(st.integers(0, 12) for _ in range(5)))
def test_what_waits_outside_is_what_is_neither_done_nor_asked_for(
    first: int, length: int, kept_from: int, kept: int, done: int
) -> None:
    asked, there = range(first, first + length), range(kept_from, kept_from + kept)
    assert waiting(asked, there, done) == sum(offset >= done and offset not in asked for offset in there)
