from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from streamproc.records.mark import Mark, read_mark
from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.worker.core.strikes import CONDEMNED_AFTER, Position, Strikes

A, B = TopicPartition("in", 0), TopicPartition("in", 1)
WINDOW, NARROW = 32, 2


@dataclass
class Group:
    """What is committed, and an owner that can end at any time."""

    committed: dict[TopicPartition, CommitOffset] = field(default_factory=dict)
    plain: int = 0
    epoch: int = 0
    flying: dict[TopicPartition, list[int]] = field(default_factory=dict)
    calm: bool = True
    """Whether what is in flight is not at work."""
    owner: Strikes = field(init=False)

    def start(self, *partitions: TopicPartition) -> list[bool]:
        """A fresh owner takes over; the last one, if any, is gone without a word."""
        self.flying = {}
        self.owner = Strikes(
            WINDOW,
            lambda: not any(self.flying.values()),
            lambda: self.calm,
            lambda p: bool(self.flying.get(p)),
        )
        return [self.assign(partition) for partition in partitions]

    def assign(self, partition: TopicPartition) -> bool:
        self.epoch += 1
        return self.owner.begin(self.committed.get(partition, CommitOffset(*partition, 0)), self.epoch)

    def take(self, source: TopicPartition, offset: int) -> bool:
        taken = self.owner.take(source, self.owner._owned[source].epoch, offset)
        if taken:
            self.flying.setdefault(source, []).append(offset)
        return taken

    def take_once_marked(self, source: TopicPartition, offset: int) -> bool:
        """Take a record with the plain commit that it has to wait for."""
        assert not self.take(source, offset)
        self.marks()
        return self.take(source, offset)

    def marks(self) -> list[Position]:
        """Make the plain commits that are due."""
        due = self.owner.due()
        self.plain += bool(due)
        for one in due:
            self.write(one.source, one.offset, one.mark)
            self.owner.committed(one.source, one.epoch, one.offset, one.mark, progress=False)
        return due

    def finish(self, source: TopicPartition, offset: int) -> None:
        """Commit outcomes up to an offset."""
        epoch = self.owner._owned[source].epoch
        mark = self.owner.mark(source, epoch, offset)
        self.write(source, offset, mark)
        self.flying[source] = [one for one in self.flying.get(source, []) if one >= offset]
        self.owner.committed(source, epoch, offset, mark, progress=True)

    def write(self, source: TopicPartition, offset: int, mark: Mark) -> None:
        self.committed[source] = CommitOffset(*source, offset, mark.text())

    def mark(self, source: TopicPartition) -> tuple[int, Mark]:
        found = self.committed[source]
        return found.offset, read_mark(found.metadata)

    def run(self, source: TopicPartition, end: int, deadly: Mapping[int, object]) -> int | None:
        """Take records of one partition as they come, many at a time; which were in flight when it died, if it did."""
        offset = self.mark(source)[0] if source in self.committed else 0
        while offset < end:
            epoch = self.owner._owned[source].epoch
            if self.owner.condemned(source, epoch, offset):
                deadly = {at: why for at, why in deadly.items() if at != offset}
            if self.take(source, offset):
                offset += 1
                if deadly.keys() & set(self.flying[source]) and (len(self.flying[source]) > 2 or offset == end):
                    return len(self.flying[source])
            elif not self.marks():
                if deadly.keys() & set(self.flying[source]):
                    return len(self.flying[source])
                self.finish(source, offset)
        self.finish(source, end)
        return None


@pytest.fixture
def group() -> Group:
    return Group()


def test_nothing_is_taken_before_the_group_knows_of_it(group: Group) -> None:
    assert group.start(A) == [False]
    assert not group.take(A, 5)
    group.marks()
    assert group.mark(A) == (0, Mark(5 + WINDOW))
    assert group.take(A, 5)


def test_all_partitions_of_a_poll_are_opened_in_one_commit(group: Group) -> None:
    group.start(A, B)
    group.owner.came(A, 1, 0)
    group.owner.came(A, 1, 1)
    group.owner.came(B, 2, 7)
    assert [one.source for one in group.marks()] == [A, B]
    assert group.take(A, 0)
    assert group.take(B, 7)
    assert group.plain == 1


def test_a_partition_without_records_costs_no_commit_and_counts_no_crash(group: Group) -> None:
    for _ in range(5):
        group.start(A, B)
        group.owner.came(A, group.epoch - 1, 0)
        group.marks()
    assert B not in group.committed


def test_commits_of_outcomes_renew_what_may_be_in_flight(group: Group) -> None:
    group.start(A)
    for offset in range(100 * WINDOW):
        if not group.take(A, offset):
            assert offset == 0
            group.marks()
            assert group.take(A, offset)
        if offset % 8 == 7:
            group.finish(A, offset + 1)
    assert group.plain == 1
    assert group.mark(A) == (100 * WINDOW, Mark(101 * WINDOW))


def test_nothing_past_the_mark_is_taken_however_wide_a_gap_is(group: Group) -> None:
    group.start(A)
    assert group.take_once_marked(A, 0)
    far = 10 * WINDOW
    assert not group.take(A, far)
    assert group.owner.due() == []  # what is in flight renews it
    group.finish(A, far)
    assert group.take(A, far)
    assert not group.take(A, 3 * far)
    group.flying[A] = []  # it went to a lane
    assert group.marks()[0].mark.open == 3 * far + WINDOW
    assert group.take(A, 3 * far)


def test_a_clean_end_lets_go_of_what_was_opened(group: Group) -> None:
    group.start(A, B)
    group.owner.came(A, 1, 0)
    group.marks()
    group.take(A, 0)
    group.owner.close([A, B])
    assert not group.owner.closed(A)
    assert group.owner.closed(B)
    assert group.owner.due() == []  # a record of it is in flight
    group.finish(A, 1)
    group.marks()
    assert group.owner.closed(A)
    assert group.mark(A) == (1, Mark())
    assert group.start(A) == [False]


def test_a_partition_is_not_let_go_of_while_its_first_commit_is_on_its_way(group: Group) -> None:
    group.start(A)
    group.owner.came(A, 1, 0)
    [opening] = group.owner.due()
    assert group.owner.due() == []
    group.owner.close([A])
    assert not group.owner.closed(A)
    group.owner.committed(A, 1, 0, opening.mark, progress=False)
    group.marks()
    assert group.owner.closed(A)


def crash_with(group: Group, *offsets: int) -> None:
    """An owner that ends with these in flight."""
    group.start(A)
    for offset in offsets:
        if not group.take(A, offset):
            group.marks()
            assert group.take(A, offset)


def suspect(group: Group) -> None:
    """An owner of both partitions after two crashes of A's without progress: it takes what is there one by one."""
    crash_with(group, 0)
    crash_with(group, 0)
    group.start(A, B)


def test_one_crash_makes_nobody_careful_and_progress_forgets_it(group: Group) -> None:
    crash_with(group, 0, 1)
    assert group.start(A) == [False]
    group.take(A, 0)
    group.marks()
    assert group.mark(A) == (0, Mark(NARROW, crashes=1))
    assert group.take(A, 0)
    assert group.take(A, 1)
    assert not group.take(A, 2)
    group.finish(A, 2)
    assert group.mark(A) == (2, Mark(2 + NARROW))
    assert group.start(A) == [False]


def test_after_two_crashes_one_record_is_in_flight_and_bears_a_strike(group: Group) -> None:
    crash_with(group, 0, 1)
    crash_with(group, 0)
    assert group.start(A, B) == [True, False]
    group.owner.came(B, group.epoch, 0)
    group.marks()
    assert group.take(B, 0)
    assert not group.take(A, 0)
    assert group.marks() == []  # not while another partition's record is in flight
    group.finish(B, 1)
    group.marks()
    assert group.mark(A) == (0, Mark(NARROW, crashes=2, strikes=1))
    assert group.take(A, 0)
    assert not group.take(A, 1)
    assert not group.take(B, 1)
    group.finish(A, 1)
    assert group.mark(A) == (1, Mark(NARROW))
    assert group.take(B, 1)
    group.finish(B, 2)
    assert not group.take(A, 1)
    group.marks()
    assert group.mark(A) == (1, Mark(NARROW, strikes=1))
    assert group.take(A, 1)
    group.finish(A, 2)
    group.take(A, 2)
    assert group.take(A, 3), "what was in flight then is passed"
    assert group.mark(A) == (2, Mark(2 + WINDOW))


def test_three_strikes_condemn_the_record_and_it_is_not_tried_again(group: Group) -> None:
    for _ in range(2):
        crash_with(group, 0)
    for strike in range(1, CONDEMNED_AFTER + 1):
        crash_with(group, 0)
        assert group.mark(A)[1].strikes == strike
    assert group.start(A) == [True]
    assert group.owner.condemned(A, group.epoch, 0)
    assert group.take(A, 0)
    assert not group.take(A, 1)
    group.finish(A, 1)
    assert group.mark(A)[1] == Mark(NARROW)
    assert not group.owner.condemned(A, group.epoch, 1)


def test_a_strike_is_taken_back_from_a_record_that_killed_nobody(group: Group) -> None:
    for _ in range(3):
        crash_with(group, 0)
    assert group.mark(A)[1].strikes == 1
    crash_with(group, 0)
    assert group.mark(A)[1].strikes == 2
    group.owner.close([A])
    group.flying = {}  # it is left to the next owner
    group.marks()
    assert group.mark(A) == (0, Mark(NARROW, crashes=2, strikes=1))
    assert group.start(A) == [True]


def hand_over(group: Group) -> None:
    """A clean end, with nothing in flight."""
    group.owner.close([A])
    group.flying = {}
    group.marks()
    assert group.owner.closed(A)


def test_a_clean_hand_over_keeps_who_is_suspected(group: Group) -> None:
    crash_with(group, *range(20))
    crash_with(group, 0, 1)
    left = group.mark(A)
    for _ in range(3):
        assert group.start(A) == [True]
        assert group.take_once_marked(A, 0)
        hand_over(group)
    assert group.mark(A) == (0, Mark(left[1].open, crashes=1))
    assert group.start(A) == [True]
    group.take(A, 0)
    group.marks()
    assert group.mark(A) == (0, Mark(left[1].open, crashes=2, strikes=1)), "hand-overs are no crashes"


def test_a_clean_hand_over_of_who_was_careful_and_went_on_leaves_the_rest_suspected(group: Group) -> None:
    crash_with(group, 0, 1, 2)
    group.start(A)
    group.take(A, 0)
    group.marks()  # a smaller window
    group.take(A, 0)
    assert group.start(A) == [True]
    assert group.take_once_marked(A, 0)
    group.finish(A, 1)
    hand_over(group)
    assert group.start(A) == [True]
    assert not group.take(A, 1)
    assert group.marks()[0].mark.strikes == 1


def test_a_clean_hand_over_after_a_crash_keeps_the_smaller_window(group: Group) -> None:
    crash_with(group, *range(20))
    group.start(A)
    group.take(A, 0)
    group.marks()
    hand_over(group)
    assert group.mark(A) == (0, Mark(None, crashes=1))
    assert group.start(A) == [False]
    group.take(A, 0)
    group.marks()
    assert group.mark(A) == (0, Mark(NARROW, crashes=1))
    assert group.take(A, 0)
    group.finish(A, 1)
    assert group.mark(A) == (1, Mark(1 + WINDOW))
    hand_over(group)
    assert group.mark(A) == (1, Mark())


def test_who_acquits_leaves_nothing_to_blame_whatever_is_in_flight(group: Group) -> None:
    group.start(A, B)
    group.owner.came(A, 1, 0)
    group.owner.came(B, 2, 5)
    group.marks()
    assert group.take(A, 0)
    assert group.take(B, 5)
    group.owner.acquit()
    group.marks()
    assert (group.mark(A), group.mark(B)) == ((0, Mark()), (0, Mark()))


def test_strikes_of_a_record_that_is_not_there_any_more_are_nobodys(group: Group) -> None:
    for _ in range(5):
        crash_with(group, 0)
    assert group.mark(A)[1].strikes == CONDEMNED_AFTER
    group.start(A)
    assert not group.owner.condemned(A, group.epoch, 1)
    assert not group.take(A, 1)
    group.marks()
    assert group.mark(A)[0] == 1
    assert group.mark(A)[1].strikes == 1


def test_of_a_passed_epoch_nothing_is_due_and_nothing_counts(group: Group) -> None:
    group.start(A)
    group.owner.came(A, 1, 0)
    [opening] = group.owner.due()
    group.owner.end([A])
    group.assign(A)
    group.owner.committed(A, 1, 0, opening.mark, progress=False)
    assert not group.owner.take(A, 2, 0)
    assert group.owner.take(A, 1, 0), "no commit will count it"
    group.owner.passed(A, 1)
    assert len(group.owner.due()) == 1


def test_a_record_alone_that_is_lost_lets_others_go_on(group: Group) -> None:
    suspect(group)
    assert group.take_once_marked(A, 0)
    group.owner.end([A])
    group.flying = {}
    assert group.take_once_marked(B, 0)


def test_a_record_alone_that_waits_bears_no_strike_and_lets_others_go_on(group: Group) -> None:
    suspect(group)
    group.owner.came(B, group.epoch, 0)
    assert group.take_once_marked(A, 0)
    assert not group.take(B, 0)
    epoch = group.epoch - 1
    group.owner.rest(A, epoch)
    assert group.mark(A)[1].strikes == 1
    group.marks()
    assert group.mark(A) == (0, Mark(NARROW, crashes=2))
    assert group.take(B, 0)
    group.calm = False
    assert group.owner.again(B, group.epoch), "what others have that waits may be tried"
    assert not group.owner.again(A, epoch)
    assert not group.owner.again(B, group.epoch), "its turn has come: they rest"
    assert not group.take(B, 1)
    assert group.marks() == []
    group.calm = True
    assert not group.owner.again(A, epoch)
    group.marks()
    assert group.mark(A) == (0, Mark(NARROW, crashes=2, strikes=1))
    assert group.owner.again(A, epoch)
    assert not group.owner.again(B, group.epoch)
    assert not group.take(B, 1)
    group.finish(A, 1)
    assert group.owner.again(B, group.epoch)
    assert group.take(B, 1)


def test_what_comes_behind_a_record_that_waits_alone_keeps_nobody_else_waiting(group: Group) -> None:
    crash_with(group, 0, 1)
    crash_with(group, 0)
    group.start(A, B)
    assert group.take_once_marked(A, 0)
    group.owner.rest(A, group.epoch - 1)
    assert not group.take(A, 1)
    assert group.take_once_marked(B, 0)


def test_a_suspect_that_goes_to_another_owner_keeps_nobody_waiting(group: Group) -> None:
    crash_with(group, 0)
    crash_with(group, 0)
    for leave in (group.owner.close, group.owner.end):
        group.start(A, B)
        assert not group.take(A, 0)
        assert not group.take(B, 0)
        getattr(group.owner, leave.__name__)([A])
        assert group.take_once_marked(B, 0)


def test_a_record_that_waits_and_is_lost_keeps_nobody_waiting(group: Group) -> None:
    suspect(group)
    group.take(A, 0)
    group.marks()
    group.take(A, 0)
    group.owner.rest(A, group.epoch - 1)
    assert group.owner.due()[0].mark.strikes == 0
    assert not group.owner.again(A, group.epoch - 1), "its strike is being taken back"
    group.owner.end([A])
    group.flying = {}
    assert group.take_once_marked(B, 0)


def test_nothing_is_opened_by_who_stops(group: Group) -> None:
    group.start(A)
    group.owner.came(A, 1, 0)
    group.owner.stop()
    assert group.owner.due() == []


@pytest.mark.parametrize("deadly", [{0}, {17}, {40}, {99}, {3, 4}, {20, 60, 61}])
def test_whatever_kills_ends_condemned_and_nobody_else_does(group: Group, deadly: set[int]) -> None:
    left = dict.fromkeys(deadly)
    deaths = 0
    while True:
        careful = group.start(A)
        position = group.committed.get(A, CommitOffset(*A, 0)).offset
        if group.owner.condemned(A, group.epoch, position):
            assert position in left
            del left[position]
        if group.run(A, 100, left) is None:
            break
        deaths += 1
        assert deaths <= 8 * len(deadly), (careful, group.committed)
    assert left == {}
    assert group.mark(A)[0] == 100


def test_nothing_is_suspected_past_the_end_of_a_partition_that_was_read_to_it(group: Group) -> None:
    crash_with(group, 0, 1, 2)
    crash_with(group, 0, 1)
    assert group.start(A) == [True]
    group.owner.drained({A: 3})
    assert group.take_once_marked(A, 0)
    group.finish(A, 1)
    seen = [group.owner.careful]
    group.owner.drained({A: 1})
    seen.append(group.owner.careful)
    assert seen == [True, False], "what is before the end was in flight"
    hand_over(group)
    assert group.mark(A) == (1, Mark())


def test_one_whose_turn_comes_before_its_strike_was_taken_back_waits_for_the_others_too(group: Group) -> None:
    crash_with(group, 0)
    crash_with(group, 0)
    group.start(A, B)
    group.owner.came(B, group.epoch, 0)
    group.take(A, 0)
    group.marks()
    group.take(A, 0)
    group.owner.rest(A, group.epoch - 1)
    group.calm = False  # others have begun
    assert not group.owner.again(A, group.epoch - 1)
    assert group.marks() == []
    group.calm = True
    assert group.owner.again(A, group.epoch - 1)
    assert group.mark(A)[1].strikes == 1
