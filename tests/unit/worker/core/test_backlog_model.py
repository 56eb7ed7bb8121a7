"""The backlog against a list: nothing lost, order kept, no micro-batch over its limits or smaller than it could be."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamproc.worker.core.backlog import Backlog, Load

MOST = Load(4, 100, 1_000, 10.0)
loads = st.builds(Load, st.just(1), st.integers(0, 120), st.integers(0, 1_200), st.integers(0, 12).map(float))


def total(loads: list[Load]) -> tuple[float, ...]:
    return tuple(map(sum, zip(*loads, strict=True)))


def fits(loads: list[Load]) -> bool:
    return all(part <= limit for part, limit in zip(total(loads), MOST, strict=True))


class BacklogMachine(RuleBasedStateMachine):
    """Polls, cuts and partitions that go, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: dict[tuple[int, int], Load] = {}
        self.looked: set[tuple[int, int]] = set()
        """Into which items it looked."""
        self.backlog: Backlog[tuple[int, int]] = Backlog(MOST, lambda item: item[0], self.weigh)
        self.waiting: list[tuple[tuple[int, int], Load]] = []
        self.last = 0

    def weigh(self, item: tuple[int, int]) -> Load:
        self.looked.add(item)
        return self.loads[item]

    @rule(polled=st.lists(st.tuples(st.integers(0, 2), loads), max_size=8))
    def add(self, polled: list[tuple[int, Load]]) -> None:
        for partition, load in polled:
            self.last += 1
            self.waiting.append(((partition, self.last), load))
            self.loads[partition, self.last] = load
            self.backlog.add((partition, self.last))

    @rule()
    def cut(self) -> None:
        items = self.backlog.cut()
        taken, self.waiting = self.waiting[: len(items)], self.waiting[len(items) :]
        assert [item for item, _ in taken] == items
        chosen = [load for _, load in taken]
        assert len(chosen) <= 1 or fits(chosen)
        if self.waiting:
            assert chosen
            assert not fits([*chosen, self.waiting[0][1]])

    @rule(refused=st.sets(st.integers(0, 2)), last=st.sets(st.integers(0, 2)))
    def cut_with_some_refused(self, refused: set[int], last: set[int]) -> None:
        asked: list[int] = []
        allowed: set[tuple[int, int]] = set()

        def may(item: tuple[int, int]) -> bool:
            asked.append(item[0])
            if item[0] not in refused:
                allowed.add(item)
            return item[0] not in refused

        self.looked.clear()
        items = self.backlog.cut(may, lambda item: item[0] in last)
        assert {*items} <= self.looked <= allowed
        taken = [entry for entry in self.waiting if entry[0] in items]
        assert [item for item, _ in taken] == items
        self.waiting = [entry for entry in self.waiting if entry[0] not in items]
        partitions = {partition for partition, _ in items}
        assert not partitions & refused
        if partitions & last:
            assert len(items) == 1
            assert {partition for (partition, _), _ in [*taken, *self.waiting]} <= last
        for partition, number in items:
            assert all(number < other for (one, other), _ in self.waiting if one == partition)
        held = last | refused.intersection(asked)
        others = [entry for entry in self.waiting if entry[0][0] not in held]
        if others:  # not asked about, for the first of them has no room
            assert not fits([load for _, load in [*taken, others[0]]])
        elif not items and self.waiting and {partition for (partition, _), _ in self.waiting} <= last:
            assert asked == [self.waiting[0][0][0]]

    @rule(gone=st.integers(0, 2))
    def lose_a_partition(self, gone: int) -> None:
        self.backlog.keep(lambda item: item[0] != gone)
        self.waiting = [entry for entry in self.waiting if entry[0][0] != gone]

    @invariant()
    def it_knows_how_many_wait(self) -> None:
        assert len(self.backlog) == len(self.waiting)


BacklogMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=20)
test_the_backlog_does_what_the_model_does = BacklogMachine.TestCase
