import pytest

from streamproc.worker.core.pace import Pace


def test_there_is_no_speed_before_the_first_result() -> None:
    pace = Pace()
    assert (pace.speed, pace.record_s) == (None, 0)
    pace.committed(0, 1, 3, 0)  # dead letters
    assert pace.speed is None


def test_time_without_work_does_not_count() -> None:
    pace = Pace()
    pace.committed(0, 2, 4, 40)
    pace.committed(1000, 1002, 4, 40)
    assert pace.speed == pytest.approx(20)
    assert pace.record_s == 10


def test_micro_batches_that_overlap_share_their_time() -> None:
    pace = Pace()
    pace.committed(0, 2, 1, 10)
    pace.committed(0, 4, 1, 10)
    assert pace.speed == pytest.approx(5, rel=0.02)


def test_what_is_long_ago_is_forgotten() -> None:
    pace = Pace()
    pace.committed(0, 100, 1, 10_000)
    for minute in range(20):
        pace.committed(100 + 60 * minute, 160 + 60 * minute, 1, 60)
    assert pace.speed == pytest.approx(1, rel=0.35)
