import pytest

from streamproc.audio.timer import Timer
from tests.unit.audio.sounds import LIMITS


def test_a_file_has_its_time_and_two_seconds_for_each_minute_of_audio_the_first_at_once() -> None:
    timer = Timer(LIMITS, now=100)
    assert timer.deadline == 132
    timer.reached(30)
    assert timer.deadline == 132
    timer.reached(600)
    assert timer.deadline == 150
    timer.reached(60)
    assert timer.deadline == 150


def test_a_child_that_claims_to_have_years_of_audio_is_not_granted_years() -> None:
    timer = Timer(LIMITS, now=0)
    timer.reached(float("inf"))
    assert timer.deadline == 30 + 2 * 240 * 8


def test_waiting_for_a_slot_costs_nothing() -> None:
    timer = Timer(LIMITS, now=0)
    timer.pause(10)
    assert timer.deadline is None
    timer.pause(500)
    timer.resume(1000)
    assert timer.deadline == pytest.approx(1022)
