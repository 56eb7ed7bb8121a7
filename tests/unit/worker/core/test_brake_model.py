"""The brake against a list of everything that ended."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streamproc.records.record import Record, TopicPartition
from streamproc.settings import BrakeSettings
from streamproc.worker.core.brake import MOST_CANDIDATES, Brake, candidates

REASONS = ("decode_failed", "event_invalid", "decode_failed", "object_empty")
ENDS = st.lists(st.booleans(), min_size=1, max_size=12)


class BrakeMachine(RuleBasedStateMachine):
    """Ends of records in any order, and releases."""

    @initialize(
        window=st.integers(1, 12), ratio=st.sampled_from([0.1, 0.25, 0.5, 0.9, 1.0]), in_a_row=st.integers(1, 12)
    )
    def begin(self, window: int, ratio: float, in_a_row: int) -> None:
        self.settings = BrakeSettings(window=window, ratio=ratio, in_a_row=in_a_row)
        self.brake = Brake(self.settings)
        self.ends: list[bool] = []
        self.reasons: list[str | None] = []
        self.ended = 0
        self.on = False
        self.times = 0

    @rule(ends=ENDS)
    def end(self, ends: list[bool]) -> None:
        for dead in ends:
            reason = REASONS[self.ended % len(REASONS)] if dead else None
            self.ended += 1
            self.brake.ended(reason)
            if not self.on:
                self.ends.append(dead)
                self.reasons.append(reason)
                self.on = self.too_many()
                self.times += self.on

    @rule()
    def release(self) -> None:
        self.brake.release()
        self.ends, self.reasons, self.on = [], [], False

    def too_many(self) -> bool:
        last, row = self.ends[-self.settings.window :], self.ends[-self.settings.in_a_row :]
        full = len(last) == self.settings.window
        return (len(row) == self.settings.in_a_row and all(row)) or (
            full and sum(last) / len(last) > self.settings.ratio
        )

    @invariant()
    def it_says_what_the_model_says(self) -> None:
        if hasattr(self, "brake"):
            last = self.ends[-self.settings.window :]
            assert (self.brake.on, self.brake.times) == (self.on, self.times)
            assert (self.brake.dead, self.brake.seen) == (sum(last), len(last))
            assert not self.on or str(self.brake.dead) in self.brake.why or "in a row" in self.brake.why
            if self.on:
                row = "in a row" in self.brake.why
                counted = self.reasons[-self.settings.in_a_row if row else -self.settings.window :]
                assert self.brake.reasons == Counter(filter(None, counted))
                assert [*self.brake.reasons.values()] == sorted(self.brake.reasons.values(), reverse=True)


BrakeMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
test_the_brake_does_what_the_model_does = BrakeMachine.TestCase


def newest(partition: int, offset: int, at_ms: int) -> Record:
    return Record("in", partition, offset, at_ms, None, b"")


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6),
    st.dictionaries(st.integers(0, 5), st.just(4)),
)
def test_candidates_are_the_newest_of_what_came_since_else_of_all(
    places: list[tuple[int, int]], seen: dict[int, int]
) -> None:
    records = [newest(partition, offset, at_ms) for partition, (offset, at_ms) in enumerate(places)]
    since = [r for r in records if (r.offset > 4 if r.partition in seen else r.timestamp_ms >= 5)] or records
    chosen = candidates(records, {TopicPartition("in", number): offset for number, offset in seen.items()}, 5)
    assert len(chosen) == min(MOST_CANDIDATES, len(since))
    assert all(one in since for one in chosen)
    left = [one.timestamp_ms for one in since if one not in chosen]
    assert max(left, default=0) <= min((one.timestamp_ms for one in chosen), default=0)


def test_one_fresh_record_is_enough_beside_old_ones() -> None:
    old, fresh = newest(0, 7, 1_000), newest(1, 3, 2_000)
    assert candidates([old, fresh], {}, 1_500) == [fresh]


def test_what_was_tried_is_not_fresh_whatever_its_producer_says_of_the_time() -> None:
    tried, late = newest(0, 7, 9_000), newest(1, 3, 10)
    seen = {TopicPartition("in", 0): 7, TopicPartition("in", 1): 2}
    assert candidates([tried, late], seen, 1_500) == [late]
