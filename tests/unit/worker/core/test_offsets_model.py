"""Offsets against a model that is too simple to be wrong: a list of what was taken, a set of what is finished."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamproc.records.record import TopicPartition
from streamproc.worker.core.offsets import Offsets

PARTITIONS = [TopicPartition("in", 0), TopicPartition("in", 1), TopicPartition("lane", 0)]


@dataclass
class Assignment:
    """One epoch of one partition, as the model remembers it: everything."""

    partition: TopicPartition
    epoch: int
    start: int
    """Where the client begins to read."""
    taken: list[int] = field(default_factory=list)
    finished: set[int] = field(default_factory=set)
    told: int = -1
    """The highest that was said to be committable."""

    @property
    def place(self) -> tuple[TopicPartition, int]:
        return self.partition, self.epoch

    @property
    def unfinished(self) -> list[int]:
        return [offset for offset in self.taken if offset not in self.finished]

    @property
    def committable(self) -> int:
        return min(self.unfinished, default=max(self.taken) + 1)


class OffsetsMachine(RuleBasedStateMachine):
    """Anything that a broker, a client and a rebalance may do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets = Offsets()
        self.epochs = 0
        self.fresh: dict[TopicPartition, Assignment] = {}
        """Ours, and nothing was taken yet."""
        self.current: dict[TopicPartition, Assignment] = {}
        """The last one that something was taken under."""
        self.passed: list[Assignment] = []

    @rule(partition=st.sampled_from(PARTITIONS), start=st.integers(0, 20))
    def assign(self, partition: TopicPartition, start: int) -> None:
        """A later epoch, from a lower or a higher offset than the one before."""
        self.epochs += 1
        self.fresh[partition] = Assignment(partition, self.epochs, start)

    @precondition(lambda self: self.fresh or self.current)
    @rule(data=st.data(), gaps=st.lists(st.integers(0, 3), min_size=1, max_size=6))
    def take(self, data: st.DataObject, gaps: list[int]) -> None:
        """Whatever is missing was compacted, aborted, or is a control record."""
        partition = data.draw(st.sampled_from(sorted({*self.fresh, *self.current})))
        if partition in self.fresh:
            self.forget(partition)
            self.current[partition] = self.fresh.pop(partition)
        one = self.current[partition]
        for gap in gaps:
            offset = (one.taken[-1] + 1 if one.taken else one.start) + gap
            assert self.offsets.take(*one.place, offset)
            one.taken.append(offset)

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        """After a seek or a resume the client goes on from an earlier offset."""
        one = self.drawn(data)
        assert not self.offsets.take(*one.place, data.draw(st.integers(0, one.taken[-1])))

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """In any order, and more than once."""
        one = self.drawn(data)
        for offset in data.draw(st.lists(st.sampled_from(one.taken), max_size=8)):
            self.offsets.finish(*one.place, offset)
            one.finished.add(offset)

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def finish_all(self, data: st.DataObject) -> None:
        one = self.drawn(data)
        for offset in reversed(one.taken):
            self.offsets.finish(*one.place, offset)
            one.finished.add(offset)

    @precondition(lambda self: self.current)
    @rule(data=st.data(), offset=st.integers(0, 60))
    def finish_what_was_not_taken(self, data: st.DataObject, offset: int) -> None:
        one = self.drawn(data)
        if offset not in one.taken:
            self.offsets.finish(*one.place, offset)

    @rule(partition=st.sampled_from(PARTITIONS))
    def revoke_or_lose(self, partition: TopicPartition) -> None:
        self.offsets.end([partition])
        self.fresh.pop(partition, None)
        self.forget(partition)

    @precondition(lambda self: self.passed)
    @rule(data=st.data(), offset=st.integers(0, 60))
    def come_late(self, data: st.DataObject, offset: int) -> None:
        """What belongs to an epoch that has passed: refused, and nothing of the current one is disturbed."""
        one = data.draw(st.sampled_from(self.passed))
        assert not self.offsets.take(*one.place, offset)
        for late in (offset, *one.taken):
            self.offsets.finish(*one.place, late)

    @invariant()
    def committable_is_what_the_model_says(self) -> None:
        for one in self.current.values():
            assert self.offsets.committable(*one.place) == one.committable
        for one in (*self.passed, *self.fresh.values()):
            assert self.offsets.committable(*one.place) is None

    @invariant()
    def no_commit_passes_an_unfinished_record_or_goes_back(self) -> None:
        for one in self.current.values():
            told = self.offsets.committable(*one.place)
            assert told is not None
            assert all(told <= offset for offset in one.unfinished)
            assert told >= one.told
            one.told = told

    @invariant()
    def nothing_is_kept_but_what_is_unfinished(self) -> None:
        kept = {partition: list(epoch.unfinished) for partition, epoch in self.offsets._latest.items()}
        assert {partition: some for partition, some in kept.items() if some} == {
            partition: one.unfinished for partition, one in self.current.items() if one.unfinished
        }
        assert len(kept) <= len(PARTITIONS)

    def drawn(self, data: st.DataObject) -> Assignment:
        return self.current[data.draw(st.sampled_from(sorted(self.current)))]

    def forget(self, partition: TopicPartition) -> None:
        if partition in self.current:
            self.passed.append(self.current.pop(partition))


OffsetsMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=30)
test_offsets_do_what_the_model_does = OffsetsMachine.TestCase
