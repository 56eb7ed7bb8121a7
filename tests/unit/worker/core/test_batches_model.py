"""Micro-batches against a table of ends: one end each, oldest first, and what is left out is left out."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamproc.records.lane import Attempt
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import Record, TopicPartition
from streamproc.worker.core.batch import DROPPED, End, MicroBatches, Taken

PARTITIONS = [TopicPartition("in", 0), TopicPartition("in", 1)]
ENDS = [Outcome(kind, ()) for kind in OutcomeKind]


class BatchesMachine(RuleBasedStateMachine):
    """Records that are taken, end in any order, and whose partition may go at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = MicroBatches()
        self.open: list[list[Taken]] = []
        self.ends: dict[Taken, End] = {}
        self.offset = 0

    @rule(sources=st.lists(st.sampled_from(PARTITIONS), min_size=1, max_size=6))
    def take(self, sources: list[TopicPartition]) -> None:
        ident = self.batches.next_ident()
        entries = []
        for index, source in enumerate(sources):
            self.offset += 1
            record = Record(source.topic, source.partition, self.offset, 0, None, b"")
            attempt = Attempt(source.topic, source.partition, self.offset, 0, 0)
            entries.append(Taken(record, 1, attempt, ident, index, 0.0))
        self.batches.open(tuple(entries))
        self.open.append(entries)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), end=st.sampled_from(ENDS))
    def settle(self, data: st.DataObject, end: Outcome) -> None:
        taken = data.draw(st.sampled_from([taken for batch in self.open for taken in batch]))
        assert self.batches.wanted(taken) == (taken not in self.ends)
        if taken in self.ends:
            with pytest.raises(ValueError, match="has its outcome already"):
                self.batches.settle(taken, end)
        else:
            self.batches.settle(taken, end)
            self.ends[taken] = end

    @rule(partition=st.sampled_from(PARTITIONS))
    def lose(self, partition: TopicPartition) -> None:
        """Whatever its end was: an outcome that is never committed did not happen."""
        for _, taken in list(self.batches.entries(partition)):
            self.batches.drop(taken)
            self.ends[taken] = DROPPED

    @precondition(lambda self: self.open and all(taken in self.ends for taken in self.open[0]))
    @rule()
    def commit(self) -> None:
        closed = self.batches.close_head()
        entries = self.open.pop(0)
        assert list(closed.outcomes()) == [(taken, self.ends[taken]) for taken in entries]
        assert not any(self.batches.wanted(taken) for taken in entries)

    @invariant()
    def the_head_is_the_oldest_and_finished_when_all_of_it_is(self) -> None:
        assert [list(batch.entries) for batch in self.batches] == self.open
        for batch, entries in zip(self.batches, self.open, strict=True):
            assert batch.finished == all(taken in self.ends for taken in entries)
        head = self.batches.head()
        assert (list(head.entries) if head else None) == (self.open[0] if self.open else None)

    @invariant()
    def nothing_is_kept_of_what_was_committed(self) -> None:
        assert len(self.batches._open) == len(self.batches) == len(self.open)

    @invariant()
    def a_partition_is_listed_in_the_order_of_its_offsets(self) -> None:
        for partition in PARTITIONS:
            listed = [taken for _, taken in self.batches.entries(partition)]
            assert listed == [t for batch in self.open for t in batch if t.record.source == partition]


BatchesMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=20)
test_micro_batches_do_what_the_model_does = BatchesMachine.TestCase
