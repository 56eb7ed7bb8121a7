"""The rows of the ledger, per partition of an input or a lane, and which offsets they cover."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from streamproc.errors import UsageError
from streamproc.operate.lines import counted
from streamproc.records.outcome import OutcomeKind

MOST_ROWS = 2_000_000
"""About 0.5 GB of them."""


KINDS = (OutcomeKind.RESULT, OutcomeKind.RETRY, OutcomeKind.DEAD_LETTER)
"""As rows count them."""


class Counts(NamedTuple):
    """How many records of a row ended as what."""

    results: int
    retries: int
    dead_letters: int

    @property
    def text(self) -> str:
        """For people."""
        results, retries = counted(self.results, "result"), counted(self.retries, "retry", "retries")
        return f"{results}, {retries}, {counted(self.dead_letters, 'dead letter')}"

    @property
    def kinds(self) -> Collection[OutcomeKind]:
        """What there is at least one of."""
        return [kind for kind, count in zip(KINDS, self, strict=True) if count]


class LedgerRow(NamedTuple):
    """What one transaction says of one partition. ``committed_at`` is in ms since the epoch."""

    first: int
    last: int
    digest: str
    committed_at: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class Coverage:
    """Rows in the order of their offsets."""

    rows: Sequence[LedgerRow]
    reaches: Sequence[int]
    """For each row, the last offset that it or any before it covers."""

    def gaps(self, window: range) -> Iterator[range]:
        """Stretches of the window that no row covers."""
        at = window.start
        for row in self.over(window):
            if row.first > at:
                yield range(at, row.first)
            at = max(at, row.last + 1)
        if at < window.stop:
            yield range(at, window.stop)

    def overlaps(self, window: range) -> Iterator[range]:
        """Stretches of the window that more than one row covers."""
        at = window.start
        for row in self.over(window):
            if row.first < at and at > window.start:
                yield range(max(row.first, window.start), min(at, row.last + 1))
            at = max(at, row.last + 1)

    def over(self, window: range) -> Iterator[LedgerRow]:
        """Rows that cover any of the window."""
        for place in range(bisect_left(self.reaches, window.start), len(self.rows)):
            row = self.rows[place]
            if row.first >= window.stop:
                return
            if row.last >= window.start:
                yield row

    def around(self, window: range) -> range:
        """The window and all of the rows that reach into it."""
        over = list(self.over(window))
        if not over:
            return window
        return range(min(window.start, over[0].first), max(window.stop, max(row.last for row in over) + 1))


def cover(rows: Iterable[LedgerRow]) -> Coverage:
    """Put rows in order. Raises UsageError for more than memory should hold."""
    ordered = sorted(rows)
    if len(ordered) > MOST_ROWS:
        raise UsageError(f"the ledger has {len(ordered)} rows for one partition; an audit takes {MOST_ROWS}")
    return Coverage(ordered, list(accumulate((row.last for row in ordered), max)))
