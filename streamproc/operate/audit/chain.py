"""What became of one record that has more than a single outcome: a way over lanes, or a fault."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from streamproc.operate.place import Place
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import TopicPartition


@dataclass(frozen=True, slots=True)
class Move:
    """One record on a lane: the outcome ``retry`` of the try before."""

    attempts: int
    """Tries that had failed by then, 1 or more."""
    lane: TopicPartition
    offset: int


@dataclass(frozen=True, slots=True)
class End:
    """A result or a dead letter. ``attempts`` counts the try that ended there; 0 where the output does not say."""

    kind: OutcomeKind
    result_id: str
    attempts: int
    at: Place
    """Where it stands."""


@dataclass(slots=True)
class Chain:
    """Everything that names one origin."""

    moves: list[Move] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)

    def doubles(self) -> Iterator[str]:
        """What there is more than once. A try has one outcome, so no end comes before, or beside, a later move."""
        if len(self.ends) > 1:
            yield " and ".join(_name(end) for end in self.ends)
        tries = sorted(move.attempts for move in self.moves)
        for attempts in sorted({one for one, following in pairwise(tries) if one == following}):
            yield f"{tries.count(attempts)} retries after attempt {attempts}"
        for end in self.ends:
            if tries and end.attempts and end.attempts <= tries[-1]:
                yield f"{_name(end)} of attempt {end.attempts} beside a retry after attempt {tries[-1]}"

    def outcome_after(self, attempts: int) -> str | None:
        """What the try behind ``attempts`` failed ones became, as the ledger writes it; None when that is not clear."""
        if any(self.doubles()):
            return None
        if any(move.attempts > attempts for move in self.moves):
            return f"{OutcomeKind.RETRY}:"
        return f"{self.ends[0].kind}:{self.ends[0].result_id}" if self.ends else None

    def last_move(self) -> Move | None:
        """Where the record went last."""
        return max(self.moves, key=lambda move: move.attempts, default=None)


def _name(end: End) -> str:
    return f"a {end.kind.replace('_', ' ')}" + (f" {end.result_id}" if end.result_id else "") + f" at {end.at}"
