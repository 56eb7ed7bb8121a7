"""What became of one record, try by try. Times in ms since the epoch."""

from dataclasses import dataclass

from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.place import Place
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult


@dataclass(frozen=True, slots=True)
class Announced:
    """The record on the input topic. ``event`` is None where it cannot be read."""

    at_ms: int
    key: str | None
    size: int | None
    """Bytes of the value; None for a tombstone."""
    replays: int
    replay_of: str | None
    """Which dead letter it was, as its header says; None for one that a producer announced."""
    event: RecordingEvent | None


@dataclass(frozen=True, slots=True)
class Committed:
    """The transaction that took one try in, as its ledger row tells. The row is of one partition of a micro-batch."""

    row_at: Place
    row: LedgerEntry


@dataclass(frozen=True, slots=True)
class Retry:
    """A record on a lane, told by its headers: which one, and why its last try failed."""

    topic: str
    """Where it began, with partition and offset."""
    partition: int
    offset: int
    attempts: int
    first_seen_ms: int
    stage: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Written:
    """One output and where it stands."""

    at: Place
    at_ms: int
    what: EmotionResult | DeadLetter | Retry


@dataclass(frozen=True, slots=True)
class Try:
    """From taking a record, off the input or off a lane, to what it became; None for what was not found."""

    taken_from: Place
    committed: Committed | None
    outcome: Written | None


@dataclass(frozen=True, slots=True)
class PutBack:
    """The replay of a dead letter."""

    at_ms: int
    to: Place | None
    """Where its original stands since then; None where it was not found, as after retention."""


@dataclass(frozen=True, slots=True)
class Life:
    """Everything that was found."""

    origin: Place
    announced: Announced | None
    tries: tuple[Try, ...]
    segments: tuple[Place, ...]
    """Where the result's segment rows stand."""
    put_back: PutBack | None
    """Of a life that ended as a dead letter."""
    remarks: tuple[str, ...]
    """What was looked for in vain, where, and what that means."""

    @property
    def ended(self) -> bool:
        """Whether a result or a dead letter was found."""
        outcome = self.tries[-1].outcome if self.tries else None
        return outcome is not None and not isinstance(outcome.what, Retry)
