import time

import pytest

from streamproc.telemetry.clock import Clock, SystemClock
from streamproc.testing.clock import ManualClock


def test_the_system_clock_tells_the_times_of_this_computer() -> None:
    clock: Clock = SystemClock()
    before = time.time() * 1000 - 1
    assert before <= clock.wall_ms() <= time.time() * 1000 + 1
    first = clock.monotonic()
    assert first <= clock.monotonic()


def test_a_manual_clock_moves_only_when_told() -> None:
    manual = ManualClock(wall_ms=1_000)
    clock: Clock = manual
    manual.advance(1.5)
    assert (clock.monotonic(), clock.wall_ms()) == (1.5, 2_500)


def test_the_wall_clock_can_jump_back_and_the_monotonic_one_cannot() -> None:
    clock = ManualClock(wall_ms=10_000)
    clock.jump_wall(-4_000)
    assert (clock.monotonic(), clock.wall_ms()) == (0, 6_000)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)
