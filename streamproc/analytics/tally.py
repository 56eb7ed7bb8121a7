"""What a bucket or a window comes to: sums of whole numbers, which merge in any order to the same."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self


@dataclass(slots=True)
class Tally:
    """A running sum. Sums of numbers in millionths."""

    results: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    confidence: int = 0
    changed: int = 0
    """Courses of two segments or more: a channel of a recording each."""
    change: int = 0
    """By how much the last segment of each is more negative than its first."""
    moves: int = 0
    """How often a first or last segment of these was replaced: with each change of ``change`` it grows."""

    @property
    def labelled(self) -> int:
        """Results that have a label."""
        return self.labels.total()

    def negative(self, labels: Iterable[str]) -> int:
        """Results that have one of these labels."""
        return sum(self.labels[label] for label in labels)

    def add(self, other: "Tally") -> None:
        """Take in another one."""
        self.results += other.results
        self.labels.update(other.labels)
        self.confidence += other.confidence
        self.changed += other.changed
        self.change += other.change
        self.moves += other.moves

    def within(self, other: "Tally") -> bool:
        """Whether the other one, of the same partition, saw all that this one did: both only grow with what is read."""
        return self.results <= other.results and self.changed <= other.changed and self.moves <= other.moves

    def copy(self) -> Self:
        """A tally that goes its own way."""
        copy = type(self)()
        copy.add(self)
        return copy


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them as one."""
    whole = Tally()
    for tally in tallies:
        whole.add(tally)
    return whole


def present(labels: Counter[str]) -> Iterator[tuple[str, int]]:
    """Labels and counts in order, without zeros."""
    yield from sorted((label, count) for label, count in labels.items() if count)
