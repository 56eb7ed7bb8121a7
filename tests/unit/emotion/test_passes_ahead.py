"""Passes over an engine that computes while more is launched: the same ends, sooner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.emotion.engine import UNDER_WAY, Passed, Wave
from streamproc.emotion.passes import Passes, Row
from streamproc.errors import FatalError
from streamproc.records.compute import ItemError

PLACES = UNDER_WAY + 1
LENGTHS = st.lists(st.integers(1, 50), max_size=40)


@dataclass
class Launcher:
    """An engine by its contract, with room for three passes: a clip's numbers are its first sample's."""

    most_samples: int = 60
    memory: int = 10**9
    """Padded samples of a pass: what one computes in, the next one uses again."""
    poisoned: Callable[[float], bool] = lambda _: False
    at_launch: bool = True
    """Whether poison shows when a pass is launched, or when it is taken."""
    min_samples: int = 1
    under_way: list["Pass"] = field(default_factory=list)
    most: int = 0
    log: list[str] = field(default_factory=list)

    def submit(self, waves: Sequence[Wave], *, frames: bool = False) -> "Pass":
        assert not frames
        if len(self.under_way) == PLACES:
            raise FatalError("too many")
        launched = Pass(self, [float(wave[0]) for wave in waves], len(waves) * max(map(len, waves)))
        if launched.size > self.memory:
            raise MemoryError("no room")
        if self.at_launch:
            launched.check()
        self.under_way.append(launched)
        self.most = max(self.most, len(self.under_way))
        self.log.append("launch")
        return launched

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        return self.submit(waves, frames=frames).take()


@dataclass(eq=False)
class Pass:
    engine: Launcher
    values: list[float]
    size: int

    def check(self) -> None:
        if any(map(self.engine.poisoned, self.values)):
            raise RuntimeError("kernel")

    def ready(self) -> bool:
        return True

    def take(self) -> Passed:
        self.engine.under_way.remove(self)
        self.engine.log.append("take")
        self.check()
        numbers = np.array([[value, 1] for value in self.values], np.float32)
        return Passed(numbers, numbers, [])


def waves_of(lengths: Sequence[int]) -> list[Wave]:
    return [np.full(length, place, np.float32) for place, length in enumerate(lengths)]


def check(found: Sequence[Row | ItemError], failed: set[int]) -> None:
    assert {place for place, end in enumerate(found) if isinstance(end, ItemError)} == failed
    assert [end.logits[0] for end in found if isinstance(end, Row)] == [
        place for place in range(len(found)) if place not in failed
    ]


def test_the_next_pass_of_a_batch_is_launched_before_one_is_taken() -> None:
    engine = Launcher()
    check(Passes(engine).run(waves_of([10, 20, 30, 40])), set())
    assert engine.log == ["launch", "launch", "take", "launch", "take", "launch", "take", "take"]


def test_a_batch_is_under_way_while_another_is_begun() -> None:
    engine = Launcher()
    passes = Passes(engine)
    first, second = passes.begin(waves_of([10, 20, 30])), passes.begin(waves_of([15, 25, 35]))
    assert engine.log == ["launch", "launch"]
    assert first.ready()
    check(first.take(), set())
    check(second.take(), set())
    assert (engine.most, engine.under_way) == (PLACES, [])


def test_looking_for_who_is_to_blame_takes_no_more_room() -> None:
    """A pass fails that was launched, while the one behind it and another batch's are: three places, not four."""
    engine = Launcher(poisoned=lambda value: value == 0, at_launch=False)
    passes = Passes(engine)
    first, second = passes.begin(waves_of([10, 10, 10, 10, 40])), passes.begin(waves_of([10, 20])[1:])
    check(first.take(), {0})
    assert isinstance(second.take()[0], Row)
    assert (engine.most, engine.under_way) == (PLACES, [])


def test_nothing_is_launched_of_a_batch_without_clips() -> None:
    begun = Passes(Launcher()).begin([])
    assert begun.ready()
    assert begun.take() == []


@pytest.mark.parametrize("at_launch", [True, False])
@given(data=st.data(), lengths=LENGTHS, memory=st.integers(50, 300))
def test_every_clip_comes_to_its_own_end_and_nothing_stays_under_way(
    data: st.DataObject, lengths: list[int], memory: int, *, at_launch: bool
) -> None:
    """Two batches in turn, some clips poisoned, and not always memory for what was planned."""
    half = len(lengths) // 2
    poison = data.draw(st.sets(st.integers(0, max(0, half - 1)), max_size=3))
    engine = Launcher(300, memory, poison.__contains__, at_launch)
    passes = Passes(engine)
    batches = [waves_of(lengths[:half]), waves_of(lengths[half:])]
    begun = [passes.begin(batch) for batch in batches]
    for batch, one in zip(batches, begun, strict=True):
        check(one.take(), poison & set(range(len(batch))))
    assert engine.under_way == []
