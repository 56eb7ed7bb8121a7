"""Parking against a list per partition: nothing lost, nothing early, order inside a partition kept."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamproc.records.record import Record, TopicPartition
from streamproc.settings import RetrySettings, TopicSettings
from streamproc.worker.core.retry import Parking, Polled, RetryPolicy

TOPICS = TopicSettings()
DELAYS_MS = {TOPICS.recordings: 0, TOPICS.lanes[0]: 10_000, TOPICS.lanes[1]: 300_000}
AGES_MS = st.sampled_from([-1, 0, 1, 9_999, 10_000, 10_001, 299_999, 300_000, 300_001]) | st.integers(-5_000, 400_000)
PARTITIONS = [TopicPartition(topic, number) for topic in DELAYS_MS for number in (0, 1)]


class ParkingMachine(RuleBasedStateMachine):
    """Polls of several partitions, with producers' clocks that do not agree, and time that passes."""

    def __init__(self) -> None:
        super().__init__()
        self.parking = Parking(RetryPolicy(TOPICS, RetrySettings()))
        self.now_ms = 1_000_000
        self.offsets = dict.fromkeys(PARTITIONS, 0)
        self.parked: dict[TopicPartition, list[Polled]] = {partition: [] for partition in PARTITIONS}
        self.due_ms: dict[Polled, int] = {}

    @rule(polls=st.lists(st.tuples(st.sampled_from(PARTITIONS), AGES_MS), max_size=12))
    def poll(self, polls: list[tuple[TopicPartition, int]]) -> None:
        polled = [self.record(partition, self.now_ms - age_ms) for partition, age_ms in polls]
        expected = []
        for one in polled:
            seen_ms = min(one.record.timestamp_ms, self.now_ms)  # a clock that is ahead holds nobody up
            self.due_ms[one] = seen_ms + DELAYS_MS[one.record.topic]
            if self.parked[one.record.source] or not self.is_due(one):
                self.parked[one.record.source].append(one)
            else:
                expected.append(one)
        assert self.parking.sift(polled, self.now_ms) == expected

    @rule(seconds=st.sampled_from([0, 1, 9, 10, 60, 299, 400]))
    def let_time_pass(self, seconds: int) -> None:
        self.now_ms += 1000 * seconds
        expected: dict[TopicPartition, list[Polled]] = {}
        for partition, queue in self.parked.items():
            while queue and self.is_due(queue[0]):
                expected.setdefault(partition, []).append(queue.pop(0))
        found: dict[TopicPartition, list[Polled]] = {}
        for one in self.parking.release(self.now_ms):
            found.setdefault(one.record.source, []).append(one)
        assert found == expected

    @rule(partitions=st.lists(st.sampled_from(PARTITIONS), max_size=3))
    def revoke_or_lose(self, partitions: list[TopicPartition]) -> None:
        self.parking.drop(partitions)
        for partition in partitions:
            self.parked[partition] = []

    @invariant()
    def what_is_to_be_paused_is_what_holds_something(self) -> None:
        assert set(self.parking) == {partition for partition, queue in self.parked.items() if queue}

    def record(self, partition: TopicPartition, timestamp_ms: int) -> Polled:
        self.offsets[partition] += 1
        offset = self.offsets[partition]
        return Polled(Record(partition.topic, partition.partition, offset, timestamp_ms, None, b""), 1)

    def is_due(self, one: Polled) -> bool:
        return self.due_ms[one] <= self.now_ms


ParkingMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
test_parking_does_what_the_model_does = ParkingMachine.TestCase
