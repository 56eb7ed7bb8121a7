from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from streamproc.errors import DependencyDownError
from streamproc.operate.warehouse.rest import State
from streamproc.operate.warehouse.watch import FIRST_WAIT_S, LONGEST_WAIT_S, Backoff, Watch
from streamproc.settings import RegistrySettings, Settings
from tests.unit.operate.warehouse.scripted import FAILED, answering


def starts(backoff: Backoff, moments: list[float]) -> list[float]:
    return [now for now in moments if backoff.due("one", now)]


def test_the_first_start_is_at_once_and_each_next_waits_twice_as_long_up_to_a_ceiling() -> None:
    found = starts(Backoff(), [float(second) for second in range(400)])
    waits = [after - before for before, after in pairwise(found)]
    assert found[0] == 0
    assert waits[:5] == [FIRST_WAIT_S * 2**turn for turn in range(5)]
    assert set(waits[5:]) == {LONGEST_WAIT_S}


def test_a_connector_that_ran_for_long_is_started_at_once_again() -> None:
    backoff = Backoff()
    starts(backoff, [float(second) for second in range(100)])
    assert starts(backoff, [1_000.0, 1_000.5, 1_002.0]) == [1_000.0, 1_002.0]


def test_one_connector_does_not_wait_for_another() -> None:
    backoff = Backoff()
    assert backoff.due("one", 0)
    assert not backoff.due("one", 1)
    assert backoff.due("other", 1)


@given(st.lists(st.floats(0, 1_000), min_size=1).map(sorted))
def test_starts_are_never_closer_than_the_first_wait(moments: list[float]) -> None:
    found = starts(Backoff(), moments)
    assert all(after - before >= FIRST_WAIT_S for before, after in pairwise(found))


def test_nothing_is_started_again_while_the_registry_is_away() -> None:
    registry = RegistrySettings(url="http://127.0.0.1:1/apis/ccompat/v7", timeout_s=0.3)
    with answering((200, FAILED)) as connect:
        watch = Watch(Settings(registry=registry, connect=connect), lambda: 0.0)
        with pytest.raises(DependencyDownError, match="schema registry"):
            watch.step()
        assert not watch.ready().ok
        assert "RUNNING/FAILED" in str(watch.status())
        assert b"connector_restarts_total{" not in generate_latest(watch.metrics)


def test_a_connector_runs_only_if_it_and_all_its_tasks_do() -> None:
    assert State("RUNNING", ("RUNNING", "RUNNING"), None).running
    assert not State("RUNNING", (), None).running
    assert not State("RUNNING", ("RUNNING", "UNASSIGNED"), None).running
    assert not State("PAUSED", ("RUNNING",), None).running
    assert State("RUNNING", ("RUNNING", "FAILED"), "why").failed
    assert not State("PAUSED", ("PAUSED",), None).failed
