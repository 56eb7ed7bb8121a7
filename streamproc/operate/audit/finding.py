"""What an audit says: faults by name and place, what it could not see, and whether the window is proved."""

from dataclasses import dataclass
from enum import StrEnum

from streamproc.operate.audit.ledger import LedgerRow
from streamproc.records.record import TopicPartition


class Fault(StrEnum):
    """What can be wrong with a window. A closed list: the runbook keys on it."""

    MISSING = "missing"
    """A record whose offset is committed has no outcome: it was lost."""
    DOUBLE = "double"
    """A record has more than one outcome."""
    NO_RECORD = "no_record"
    """An outcome names an offset that has no record."""
    NO_END = "no_end"
    """A record went to a lane, was taken from there, and has no end."""
    NOT_IN_LEDGER = "not_in_ledger"
    """No ledger row covers a record whose offset is committed."""
    TWICE_IN_LEDGER = "twice_in_ledger"
    """Two ledger rows cover an offset."""
    WRONG_DIGEST = "wrong_digest"
    """The outputs of a transaction are not those that its ledger row sums up and counts."""
    OUTSIDE = "outside"
    """The group's offset, or a ledger row, names offsets that the topic does not have."""
    UNREADABLE = "unreadable"
    """A record of an output topic is not ours: it may hide an outcome."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, of the offsets ``first`` to ``last`` of one partition."""

    fault: Fault
    partition: TopicPartition
    first: int
    last: int
    detail: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """Offsets ``first`` to ``last`` of a partition that nobody can judge now, and why."""

    partition: TopicPartition
    first: int
    last: int
    why: str


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A ledger row of the window that could not be held against its outputs, through no fault that was seen.

    Of the records themselves all was seen: it keeps nothing from being proved but the row.
    """

    partition: TopicPartition
    row: LedgerRow


@dataclass(frozen=True, slots=True)
class Window:
    """What was audited of one partition: offsets ``first`` up to ``end``, which is outside."""

    partition: TopicPartition
    first: int
    end: int
    records: int
    holes: int
    """Offsets without a record: end marks of transactions, and what was aborted or compacted."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What the logs say of some windows."""

    topic: str
    windows: tuple[Window, ...]
    results: int
    dead_letters: int
    retried: int
    """Records that went to a lane; their end is counted as well."""
    ledger_rows: int
    unchecked_rows: int
    """Ledger rows of the windows and of lanes whose digest could not be compared with the outputs."""
    findings: tuple[Finding, ...]
    """The first ones, where there are very many; as ``unseen``."""
    finding_count: int
    unseen: tuple[Unseen, ...]
    unseen_count: int
    advisory: bool
    """Whether ``delivery = at_least_once`` allows doubles after a crash."""
    waiting: int
    """Offsets outside of the windows that the group has not come to: they are neither proved nor against it."""
    seconds: float

    @property
    def records(self) -> int:
        """In all windows together."""
        return sum(window.records for window in self.windows)

    @property
    def proved(self) -> bool:
        """Whether each record of the windows has exactly one end, and each ledger row that was checked says so."""
        return not self.finding_count and not self.unseen_count
