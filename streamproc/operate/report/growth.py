"""Growth: what a counter that was looked at now and then grew by, between one look and the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Looks = Sequence[float | None]
"""One for each edge between cells; None where nothing was seen for a while."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One series of one process after another, at the edges of cells."""

    values: Looks
    increases: Looks
    """For each edge what Prometheus makes of the cell before it, over restarts; extrapolated."""


@dataclass(frozen=True, slots=True)
class Life:
    """Of the processes that the series come from, one after another: when each began (s since the epoch)."""

    began: Looks

    @property
    def restarts(self) -> int:
        """How often one took another's place, as far as was seen."""
        known = [at for at in self.began if at is not None]
        return sum(one != other for one, other in pairwise(known))

    def joined(self, first_s: float) -> bool:
        """Whether the first of them began after ``first_s``: a new worker, or an old one under a new address."""
        at = next((at for at in self.began if at is not None), None)
        return at is not None and at >= first_s

    def missed(self, first_s: float) -> bool:
        """Whether it was at work before it was first seen, and that was after ``first_s``."""
        seen = next((edge for edge, at in enumerate(self.began) if at is not None), 0)
        at = self.began[seen] if self.began else None
        return seen > 0 and at is not None and at < first_s


def growth(counter: Counter, life: Life, first_s: float) -> list[float]:
    """What it grew by in each cell; ``first_s`` is the first edge (s since the epoch).

    Exact between looks at one process: counters begin at 0 and only grow. Where a process took another's place in a
    cell it is what Prometheus extrapolates, and at least what the new one says. What a process did before it was seen
    counts if it began after the first edge; before that nobody knows when it was.
    """
    grown: list[float] = []
    last, was = counter.values[0], life.began[0]
    for value, began, increase in zip(counter.values[1:], life.began[1:], counter.increases[1:], strict=True):
        if value is None:
            grown.append(0.0)
            continue
        if last is None:
            young = began is not None and began >= first_s
            grown.append(value if young else increase or 0.0)
        elif value < last or (began is not None and was is not None and began != was):
            grown.append(max(increase or 0.0, value))
        else:
            grown.append(value - last)
        last = value
        was = was if began is None else began
    return grown
