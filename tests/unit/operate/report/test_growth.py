import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.report.buckets import spread
from streamproc.operate.report.growth import Counter, Life, Looks, growth

FIRST_S = 1000.0
OLD, YOUNG, YOUNGER = 900.0, 1010.0, 1020.0
NOBODY: Looks = (None,) * 5


def grown(values: Looks, began: Looks, increases: Looks = NOBODY) -> list[float]:
    return growth(Counter(values, increases), Life(began), FIRST_S)


def test_between_looks_it_is_the_difference_whatever_is_extrapolated() -> None:
    assert grown((10, 10, 13, 13, 20), (OLD,) * 5, (9.0,) * 5) == [0, 3, 0, 7]


def test_a_worker_that_began_within_counts_from_nothing() -> None:
    assert grown((None, None, 5, 8, 8), (None, None, YOUNG, YOUNG, YOUNG)) == [0, 5, 3, 0]


def test_of_one_that_worked_unseen_only_what_was_seen_counts() -> None:
    began = (None, None, OLD, OLD, OLD)
    assert grown((None, None, 500, 503, 503), began) == [0, 0, 3, 0]
    assert grown((None, None, 500, 503, 503), began, (None, None, 2.5, None, None)) == [0, 2.5, 3, 0]
    assert Life(began).missed(FIRST_S)
    assert not Life((OLD,) * 5).missed(FIRST_S)
    assert not Life((None, None, YOUNG, YOUNG, YOUNG)).missed(FIRST_S)


def test_what_grew_while_nobody_looked_comes_where_it_was_seen() -> None:
    assert grown((10, None, None, 17, 18), (OLD, None, None, OLD, OLD)) == [0, 0, 7, 1]


def test_one_that_was_started_again_counts_from_nothing_and_what_came_before_is_extrapolated() -> None:
    began = (OLD, OLD, YOUNG, YOUNG, YOUNG)
    assert grown((10, 12, 3, 4, 4), began, (None, 2.1, 8.2, 1.1, 0)) == [2, 8.2, 1, 0]
    assert grown((10, 12, 3, 4, 4), began) == [2, 3, 1, 0]


def test_a_start_is_seen_although_the_new_one_is_further_than_the_old_one() -> None:
    assert grown((10, 12, 30, 30, 30), (OLD, OLD, YOUNG, YOUNG, YOUNG)) == [2, 30, 0, 0]


def test_a_start_is_seen_where_nobody_tells_when_a_process_began() -> None:
    assert grown((10, 12, 3, 4, 4), NOBODY) == [2, 3, 1, 0]


def test_a_pod_that_takes_anothers_place_is_told() -> None:
    assert Life((None, YOUNG, YOUNG, YOUNGER)).joined(FIRST_S)
    assert not Life((OLD, OLD, YOUNG)).joined(FIRST_S)
    assert not Life(NOBODY).joined(FIRST_S)


def test_starts_are_counted() -> None:
    assert Life((OLD, OLD, None, YOUNG, YOUNGER)).restarts == 2
    assert Life(NOBODY).restarts == 0


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=40))
def test_one_process_is_never_counted_twice_nor_lost(steps: list[int]) -> None:
    values = [float(sum(steps[: index + 1])) for index in range(len(steps))]
    found = growth(Counter(values, [None] * len(values)), Life([OLD] * len(values)), FIRST_S)
    assert sum(found) == values[-1] - values[0]


def test_the_mean_is_exact_and_the_rest_lies_within_its_bucket() -> None:
    found = spread({0.1: 0.0, 0.2: 50.0, 0.5: 90.0, 1.0: 100.0, float("inf"): 100.0}, 30.0)
    assert found is not None
    assert (found.mean, found.p50, found.p95) == (0.3, 0.2, 0.75)
    assert found.p99 == pytest.approx(0.95)


def test_past_the_last_bound_it_is_that_bound() -> None:
    found = spread({1.0: 1.0, float("inf"): 10.0}, 100.0)
    assert found is not None
    assert (found.p50, found.p99) == (1.0, 1.0)


def test_of_nothing_there_are_no_times() -> None:
    assert spread({1.0: 0.0, float("inf"): 0.0}, 0.0) is None
    assert spread({}, 0.0) is None
