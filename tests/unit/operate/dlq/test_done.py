from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import UsageError
from streamproc.operate.dlq.done import ANY, Done, parse

REASONS = ("object_missing", "access_denied", "decode_failed")
Step = tuple[str, int, int, int]

steps = st.lists(
    st.tuples(st.sampled_from([ANY, *REASONS]), st.integers(1, 3), st.integers(0, 30), st.integers(1, 10)), max_size=8
)


def built(made: Sequence[Step]) -> Done:
    done = Done()
    for reason, limit, first, length in made:
        done = done.add(reason, limit, range(first, first + length))
    return done


@given(steps)
def test_what_is_covered_is_what_was_gone_through_with_a_choice_that_took_it(made: Sequence[Step]) -> None:
    done = built(made)
    for offset in range(45):
        for reason in REASONS:
            for replays in range(4):
                took = any(
                    first <= offset < first + length and chosen in {ANY, reason} and replays < limit
                    for chosen, limit, first, length in made
                )
                assert done.covers(offset, reason, replays) == took


@given(steps)
def test_it_is_read_back_as_it_was_committed(made: Sequence[Step]) -> None:
    assert parse(built(made).text()) == built(made)


@given(steps, st.integers(0, 40), st.sampled_from([ANY, *REASONS]), st.integers(1, 4))
def test_nothing_is_skipped_that_is_not_done(made: Sequence[Step], start: int, reason: str, limit: int) -> None:
    done = built(made)
    for offset in range(start, done.skips_to(start, reason, limit)):
        for one in REASONS if reason == ANY else (reason,):
            assert all(done.covers(offset, one, replays) for replays in range(limit))


def test_ways_that_touch_are_one() -> None:
    done = Done().add(ANY, 3, range(5)).add(ANY, 3, range(10, 12)).add(ANY, 3, range(5, 10))
    assert done.text() == "* 3 0-12"
    assert done.skips_to(0, "decode_failed", 3) == 12
    assert done.skips_to(0, "decode_failed", 4) == 0


def test_what_retention_has_passed_is_forgotten() -> None:
    assert Done().add(ANY, 3, range(5)).add(ANY, 3, range(8, 12)).kept(5).text() == "* 3 8-12"


def test_nothing_is_nothing() -> None:
    assert parse("") == Done()
    assert Done().add(ANY, 3, range(7, 7)) == Done()


@pytest.mark.parametrize("text", ["strikes=2", "* 3 1-2,", "* 3 1-2-3", "a b", "* x 1-2"])
def test_what_no_replay_wrote_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="which no replay wrote"):
        parse(text)


def test_more_pieces_than_a_broker_keeps_are_refused() -> None:
    done = Done()
    for first in range(0, 4000, 2):
        done = done.add(ANY, 3, range(first, first + 1))
    with pytest.raises(UsageError, match="more pieces than a broker keeps"):
        done.text()
