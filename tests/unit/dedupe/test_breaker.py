import itertools

from hypothesis import given
from hypothesis import strategies as st

from streamproc.dedupe.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(failures=3, rest_s=10)


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(POLICY)
    assert [breaker.failed(at) for _ in range(3)] == [False, False, True]
    return breaker


def test_failures_that_are_not_in_a_row_do_not_open_it() -> None:
    breaker = Breaker(POLICY)
    for _ in range(10):
        breaker.failed(0)
        breaker.failed(0)
        assert not breaker.succeeded()
    assert breaker.allows(0)


def test_an_open_one_refuses_until_it_has_rested() -> None:
    breaker = opened(at=100)
    assert not breaker.allows(100)
    assert not breaker.allows(109.9)
    assert breaker.allows(110)


def test_one_call_alone_tries_after_the_rest() -> None:
    breaker = opened()
    assert [breaker.allows(10) for _ in range(3)] == [True, False, False]


def test_a_try_that_fails_begins_another_rest() -> None:
    breaker = opened()
    assert breaker.allows(10)
    assert not breaker.failed(10.5), "it was open already"
    assert not breaker.allows(20.4)
    assert breaker.allows(20.5)


def test_a_try_whose_end_is_never_told_does_not_close_it_for_good() -> None:
    breaker = opened()
    assert breaker.allows(10)
    assert breaker.allows(20)


def test_a_success_closes_it() -> None:
    breaker = opened()
    assert breaker.allows(10)
    assert breaker.succeeded()
    assert all(breaker.allows(10) for _ in range(5))
    assert not breaker.failed(10)


@given(st.lists(st.floats(0, 5)))
def test_a_dead_server_is_called_at_most_once_a_rest_after_the_first_failures(pauses: list[float]) -> None:
    breaker = Breaker(POLICY)
    now = 0.0
    calls = []
    for pause in pauses:
        now += pause
        if breaker.allows(now):
            calls.append(now)
            breaker.failed(now)
    tries = calls[2:]
    assert all(later >= earlier + POLICY.rest_s for earlier, later in itertools.pairwise(tries))
