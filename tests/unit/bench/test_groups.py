from streamproc.bench.groups import longest_gap
from streamproc.bench.member import Progress


def at(second: float, *partitions: int) -> Progress:
    return Progress(second, frozenset(partitions))


def test_the_gap_is_of_the_partition_that_stood_still_longest() -> None:
    # Something is committed each second, but nothing of partition 1 from 11 to 14.
    progress = [at(11, 0, 1), at(12, 0), at(13, 0), at(14, 0, 1)]
    assert longest_gap(progress, 2, 10, 15) == 3


def test_the_gap_may_be_at_either_end() -> None:
    assert longest_gap([at(14, 0)], 1, 10, 15) == 4
    assert longest_gap([at(11, 0)], 1, 10, 16) == 5
    assert longest_gap([], 1, 10, 16) == 6


def test_commits_come_from_several_members_and_before_and_after_do_not_count() -> None:
    progress = [at(9, 0), at(13, 0), at(11, 0), at(17, 0)]
    assert longest_gap(progress, 1, 10, 15) == 2
