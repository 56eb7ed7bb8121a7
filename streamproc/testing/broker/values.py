"""What the broker shows to those who watch it, and the identity that clients show to the broker."""

from typing import NamedTuple

from streamproc.records.record import Record


class GroupMetadata(NamedTuple):
    """A member's identity, as a transaction carries it."""

    group: str
    member_id: str
    epoch: int
    """Member epoch or generation; -1 for whoever commits to a group without members."""
    departures: int = 0
    """How often partitions had gone away; the source's own business, no broker asks."""


class CommittedOffset(NamedTuple):
    """One offset of a commit, with what the coordinator knew about its partition."""

    topic: str
    partition: int
    offset: int
    metadata: str
    before: int | None
    """What was committed until then."""
    owner_when_sent: str | None
    """The member that had the partition when the offset was checked, or had given it back so that no other can have it
    before it finds this commit. With a transaction that is before its end."""
    owner: str | None
    """The member that has it now that the offset counts."""


class Commit(NamedTuple):
    """One commit, at the instant at which it counts: a transaction, or offsets alone."""

    at_s: float
    transactional_id: str | None
    producer_epoch: int
    """-1 outside a transaction."""
    group: str | None
    """None for a transaction without offsets."""
    member_id: str | None
    outputs: tuple[Record, ...]
    """As they stand in their logs, in the order of production."""
    offsets: tuple[CommittedOffset, ...]
