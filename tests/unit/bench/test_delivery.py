import pytest

from streamproc.bench.delivery import compare
from streamproc.bench.relay import Turn, next_offsets
from streamproc.bench.spread import Spread
from streamproc.records.record import CommitOffset, Record


def turn(seconds: float, *commits: float) -> Turn:
    return Turn(1000, seconds, 0.25 * seconds, commits)


def test_the_ratio_is_of_the_two_turns_of_a_round() -> None:
    # The machine was half as fast in the second round: the ratio does not see it, the spread of both sides does.
    found = compare(512, [turn(2, 0.01), turn(4, 0.03)], [turn(1, 0.004), turn(2, 0.006)])
    assert found.ratio == Spread(0.5, 0.5, 0.5)
    assert found.exactly_once.records_per_s == Spread(250, 375, 500)
    assert found.at_least_once.records_per_s == Spread(500, 750, 1000)


def test_the_commit_is_the_median_of_all_turns_together() -> None:
    found = compare(64, [turn(1, 0.001, 0.002), turn(1, 0.003, 0.1, 0.2)], [turn(1, 0.002), turn(1, 0.002)])
    assert found.exactly_once.commit_ms == 3.0


def test_processor_time_is_told_beside_what_is_waited_for() -> None:
    found = compare(512, [Turn(1000, 2.0, 0.5, (0.1, 0.1))], [Turn(1000, 1.0, 0.4, (0.1, 0.1))])
    assert (found.exactly_once.cpu_us, found.at_least_once.cpu_us) == (500.0, 400.0)
    assert (found.exactly_once.waits_ms, found.at_least_once.waits_ms) == pytest.approx((750.0, 300.0))
    assert found.cpu_ratio == Spread(1.25, 1.25, 1.25)


def test_sides_of_unequal_length_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare(64, [turn(1, 0.1), turn(1, 0.1)], [turn(1, 0.1)])


def record(partition: int, offset: int) -> Record:
    return Record("in", partition, offset, 0, None, b"value")


def test_the_next_offsets_stand_behind_the_last_record_of_each_partition() -> None:
    records = [record(1, 7), record(0, 3), record(1, 9), record(0, 4)]
    assert next_offsets(records) == [CommitOffset("in", 0, 5), CommitOffset("in", 1, 10)]
