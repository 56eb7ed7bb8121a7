"""Credits against a plain table of who holds what."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamproc.worker.core.credits import Credits, Weight

LIMIT = Weight(100, 1_000)
weights = st.builds(Weight, st.integers(0, 150), st.integers(0, 1_500))
holders = st.integers(1, 5)


class CreditsMachine(RuleBasedStateMachine):
    """Grants, corrections and returns, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.credits = Credits(LIMIT)
        self.held: dict[int, Weight] = {}
        self.corrected = False
        """Whether what is held was more than granted: the truth about a recording is larger than its estimate."""

    @rule(holder=holders, weight=weights)
    def take(self, holder: int, weight: Weight) -> None:
        if holder in self.held:
            return
        size, audio_ms = (sum(part) for part in zip(weight, *self.held.values(), strict=True))
        fits = size <= LIMIT.size and audio_ms <= LIMIT.audio_ms
        assert self.credits.take(holder, weight) == (fits or not self.held)
        if fits or not self.held:
            self.held[holder] = weight

    @rule(holder=holders, weight=weights)
    def adjust(self, holder: int, weight: Weight) -> None:
        self.credits.adjust(holder, weight)
        if holder in self.held:
            self.held[holder] = weight
            self.corrected = True

    @rule(holder=holders)
    def give(self, holder: int) -> None:
        """Also by one that holds nothing."""
        self.credits.give(holder)
        self.held.pop(holder, None)
        self.corrected = self.corrected and bool(self.held)

    @invariant()
    def the_total_is_what_is_held(self) -> None:
        assert self.credits.total == Weight(*map(sum, zip(*self.held.values(), (0, 0), strict=True)))
        assert {holder: self.credits.weight(holder) for holder in self.held} == self.held

    @invariant()
    def the_limit_holds_for_all_but_one_alone(self) -> None:
        assert self.corrected or len(self.held) < 2 or self.credits.total.within(LIMIT)


CreditsMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
test_credits_do_what_the_model_does = CreditsMachine.TestCase
