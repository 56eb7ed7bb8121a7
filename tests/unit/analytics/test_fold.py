import random

from hypothesis import given
from hypothesis import strategies as st

from streamproc.analytics.observation import Mark, Observation, Step
from streamproc.analytics.partial import Partial, Place, Progress, decode, encode_partial, encode_progress
from streamproc.analytics.view import View
from tests.unit.analytics.rows import (
    CALENDAR,
    TERMS,
    Read,
    empty,
    fold_all,
    put,
    reads,
    recomputed,
    result,
    shown,
    step,
    tell,
)


@given(reads())
def test_every_window_is_what_a_plain_recomputation_finds(rows: list[Read]) -> None:
    view = View(CALENDAR, TERMS)
    tell(view, fold_all(rows))
    assert shown(view) == recomputed(rows)


@given(reads(), st.randoms(use_true_random=False))
def test_neither_order_nor_repeats_change_a_window(rows: list[Read], chance: random.Random) -> None:
    again = rows + chance.sample(rows, len(rows) // 2)
    chance.shuffle(again)
    view, other = View(CALENDAR, TERMS), View(CALENDAR, TERMS)
    tell(view, fold_all(rows))
    tell(other, fold_all(again))
    assert shown(view) == shown(other)


@given(reads(), st.integers(0, 40))
def test_an_owner_that_died_leaves_nothing_behind(rows: list[Read], died: int) -> None:
    """It told what it had; its successor reads from the beginning and tells again, in whatever order that arrives."""
    view = View(CALENDAR, TERMS)
    tell(view, fold_all(rows[:died]))
    tell(view, fold_all(rows))
    assert shown(view) == recomputed(rows)


@given(reads(), st.integers(0, 40))
def test_what_an_owner_of_the_past_says_is_not_believed(rows: list[Read], paused: int) -> None:
    view = View(CALENDAR, TERMS)
    tell(view, fold_all(rows))
    tell(view, fold_all(rows[:paused]))
    assert {name: window for name, window in shown(view).items() if name in recomputed(rows)} == recomputed(rows)


@given(reads(), st.lists(st.integers(0, 40)))
def test_telling_now_and_then_comes_to_the_same_as_telling_once(rows: list[Read], stops: list[int]) -> None:
    view, folds = View(CALENDAR, TERMS), fold_all([])
    for number, read in enumerate(rows):
        put(folds[read.partition], read.row)
        if number in stops:
            tell(view, folds)
    tell(view, folds)
    assert shown(view) == recomputed(rows)


@given(reads())
def test_partials_come_back_as_they_went(rows: list[Read]) -> None:
    for partition, fold in fold_all(rows).items():
        for key, start, tally in fold.changes():
            partial = Partial(Place(TERMS, partition, key, start), tally)
            assert decode(*encode_partial(partial)) == partial
        progress = Progress(TERMS, partition, fold.watermark, dict(fold.left_out))
        assert decode(*encode_progress(progress)) == progress


def test_a_second_delivery_changes_nothing_and_is_counted() -> None:
    fold = empty()
    fold.result(result(1, 1000))
    fold.changes()
    fold.result(result(1, 1000))
    assert fold.changes() == []
    assert fold.left_out == {"repeated": 1}


def test_with_another_time_a_result_is_another_one_where_its_stretch_of_time_is() -> None:
    """A window would else depend on rows that are over, which a successor does not read (decision 13)."""
    fold = empty()
    assert [fold.result(result(1, at_ms)) for at_ms in (1_000, 1_500, 21_000, 41_000, 41_001)] == [1, 0, 1, 1, 0]
    assert fold.left_out == {"repeated": 2}


def test_a_late_row_corrects_its_window_until_retention_is_over() -> None:
    fold = empty()
    fold.result(result(1, 1000))
    fold.result(result(2, 160_000))  # 100 s after the tumbling window's end: its retention ends here
    fold.result(result(3, 159_999))
    fold.result(result(4, 2000))
    assert fold.left_out == {"late": 1}
    fold = empty()
    fold.result(result(2, 159_999))
    fold.result(result(4, 2000))
    assert not fold.left_out
    assert {start for _, start, _ in fold.tallies()} == {0, 140_000}


def test_what_is_over_is_told_once() -> None:
    fold = empty()
    fold.result(result(1, 1000))
    fold.result(result(2, 900_000))
    assert {(key, start) for key, start, tally in fold.changes() if tally is None} == {
        (("all", ""), 0),
        (("agent", "a"), 0),
    }
    assert fold.changes() == []


def test_a_clock_that_is_ahead_neither_counts_nor_moves_time() -> None:
    fold = empty(5_000)
    fold.result(result(1, 1000))
    fold.result(Observation("r2", 10_000_000, 2000, (("all", ""),), "angry", 1, 2000))
    assert fold.left_out == {"ahead": 1}
    assert fold.watermark == 1000


def test_a_call_changes_from_its_first_segment_to_its_last() -> None:
    fold = empty()
    fold.segment(step(1, 1000, index=1, negativity=500))
    fold.result(result(1, 1000))
    (_, _, alone), _ = fold.tallies()
    assert (alone.changed, alone.change) == (0, 0)
    fold.segment(step(1, 1000, index=2, negativity=900))
    fold.segment(step(1, 1000, index=0, negativity=100))
    fold.segment(step(1, 1000, index=1, negativity=500))
    assert [(tally.changed, tally.change) for _, _, tally in fold.tallies()] == [(1, 800), (1, 800)]


def test_each_channel_goes_its_own_way() -> None:
    fold = empty()
    fold.result(result(1, 1000))
    fold.segment(step(1, 1000, index=0, negativity=100, channel=0))
    fold.segment(step(1, 1000, index=1, negativity=900, channel=1))
    assert {(tally.changed, tally.change) for _, _, tally in fold.tallies()} == {(0, 0)}  # two people, a segment each
    fold.segment(step(1, 1000, index=2, negativity=300, channel=0))
    fold.segment(step(1, 1000, index=3, negativity=500, channel=1))
    assert {(tally.changed, tally.change) for _, _, tally in fold.tallies()} == {(2, 200 - 400)}


def test_a_correction_by_a_segment_with_the_same_begin_is_heard() -> None:
    fold, view = empty(), View(CALENDAR, TERMS)
    fold.result(result(1, 1000))
    for index, start_ms, negativity in ((0, 0, 100), (2, 15_000, 200), (3, 15_000, 900)):
        fold.segment(Step("r1", 0, 1000, 1000, Mark(start_ms, index, negativity)))
        tell(view, {0: fold})
    assert shown(view)["tumbling", ("all", ""), 0][-1] == 800


def test_what_is_kept_no_more_is_told_again_where_it_may_not_have_arrived() -> None:
    fold = empty()
    fold.result(result(1, 1000))
    fold.changes()
    fold.result(result(2, 900_000))
    gone = {(key, start) for key, start, tally in fold.changes() if tally is None}
    assert len(gone) == 2
    fold.tell_all()
    assert {(key, start) for key, start, tally in fold.changes() if tally is None} == gone
    assert fold.changes() == []


def test_of_too_many_values_the_later_ones_are_one() -> None:
    fold = empty(most_values=2)
    for number, agent in enumerate(["a", "b", "c", "d", "a", "c"]):
        fold.result(result(number, 1000, agent))
    assert {key: tally.results for key, _, tally in fold.tallies()} == {
        ("all", ""): 6,
        ("agent", "a"): 2,
        ("agent", "b"): 1,
        ("agent", "(other)"): 3,
    }


def test_segments_of_a_clock_that_is_ahead_are_not_kept() -> None:
    fold = empty(5_000)
    assert not fold.segment(Step("r1", 0, 10_000_000, 2000, Mark(0, 0, 0)))
    assert fold.segment(Step("r1", 0, 7_000, 2000, Mark(0, 0, 0)))
    assert fold.left_out == {"ahead": 1}


def test_what_is_over_is_let_go_of_and_stays_away() -> None:
    view, old = View(CALENDAR, TERMS), empty()
    old.result(result(1, 1000))
    tell(view, {0: old})
    assert {start for _, start in view.everything()} == {0}
    new = empty()
    new.result(result(2, 900_000))
    tell(view, {1: new})
    assert {start for _, start in view.everything()} == {900_000}
    old.tell_all()
    tell(view, {0: old})
    assert {start for _, start in view.everything()} == {900_000}


def test_what_a_partition_that_lags_brings_too_late_is_counted_once() -> None:
    view, ahead, behind = View(CALENDAR, TERMS), empty(), empty()
    behind.result(result(1, 1000))
    ahead.result(result(2, 900_000))
    tell(view, {0: behind, 1: ahead})
    behind.result(result(3, 2000))
    behind.result(result(4, 70_000))
    for _ in range(2):
        tell(view, {0: behind})
        behind.tell_all()
    late, on_time = (view.left_out(told) for told in view.progress)
    assert late == {"overtaken": 2}  # the first one had its windows, while they were
    assert on_time == {}


def test_what_is_told_on_other_terms_is_none_of_ours() -> None:
    view, fold = View(CALENDAR, "others"), empty()
    fold.result(result(1, 1000))
    tell(view, {0: fold})
    assert view.everything() == set()
    assert view.watermark == 0
