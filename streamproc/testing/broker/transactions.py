"""The transaction coordinator: who may write under a transactional id, and what is open under it."""

import math
from collections.abc import Sequence
from enum import StrEnum

from streamproc.records.record import CommitOffset, Headers, Record, TopicPartition
from streamproc.testing.broker.errors import Refusal, RefusedError
from streamproc.testing.broker.group import Group
from streamproc.testing.broker.log import PartitionLog, Transaction
from streamproc.testing.broker.timers import Timers
from streamproc.testing.broker.values import CommittedOffset

CHECK_S = 10.0
"""How often Kafka looks for transactions that took too long, by default."""


class Fence(StrEnum):
    """Why an epoch of a transactional id has passed."""

    NEWER = "newer"
    """Somebody took the id."""
    OVERDUE = "overdue"
    """A transaction under it stayed open for too long, and the broker aborted it."""


class SentOffsets:
    """What a transaction will commit for one group."""

    __slots__ = ("group", "member_id", "offsets", "owners")

    def __init__(
        self, group: Group, member_id: str, offsets: Sequence[CommitOffset], owners: Sequence[str | None]
    ) -> None:
        self.group = group
        self.member_id = member_id
        self.offsets = tuple(offsets)
        self.owners = tuple(owners)
        """Of the partitions, when the offsets were checked."""

    def seen(self) -> tuple[CommittedOffset, ...]:
        """What they are when they are about to count."""
        return tuple(map(self._seen, self.offsets, self.owners))

    def _seen(self, offset: CommitOffset, owner_when_sent: str | None) -> CommittedOffset:
        partition = TopicPartition(offset.topic, offset.partition)
        before = self.group.offsets.committed(partition)
        return CommittedOffset(
            offset.topic,
            offset.partition,
            offset.offset,
            offset.metadata,
            before=None if before is None else before.offset,
            owner_when_sent=owner_when_sent,
            owner=self.group.owner(partition),
        )


class Ongoing:
    """One open transaction: what it wrote and where."""

    __slots__ = ("deadline", "logs", "outputs", "sent", "transaction")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.transaction = Transaction()
        self.logs: dict[PartitionLog, None] = {}
        self.outputs: list[Record] = []
        self.sent: list[SentOffsets] = []

    def end(self, *, commit: bool) -> None:
        """Let it count or not, in every log and group that it touched."""
        self.transaction.open = False
        self.transaction.committed = commit
        for log in self.logs:
            log.mark(self.transaction)
        for sent in self.sent:
            sent.group.offsets.end(self.transaction)


class _Id:
    __slots__ = ("epoch", "ongoing", "passed", "timeout_s")

    def __init__(self) -> None:
        self.epoch = -1
        self.timeout_s = 0.0
        self.ongoing: Ongoing | None = None
        self.passed: dict[int, Fence] = {}
        """Why each epoch before this one has passed."""


class Transactions:
    """What takes an epoch refuses one that has passed (PRODUCER_FENCED)."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._ids: dict[str, _Id] = {}

    def init(self, transactional_id: str, timeout_s: float) -> int:
        """Take the id: abort what is open under it and begin the next epoch, which is returned."""
        found = self._ids.setdefault(transactional_id, _Id())
        self._fence(found, Fence.NEWER)
        found.timeout_s = timeout_s
        return found.epoch

    def write(
        self,
        transactional_id: str,
        epoch: int,
        now: float,
        log: PartitionLog,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> Record:
        """Append a record that counts once its transaction is committed."""
        ongoing = self._ongoing(transactional_id, epoch, now)
        record = log.append(timestamp_ms, key, value, headers, ongoing.transaction)
        ongoing.logs[log] = None
        ongoing.outputs.append(record)
        return record

    def touch(self, transactional_id: str, epoch: int, now: float) -> None:
        """Begin at the coordinator, as adding a group does before its offsets are looked at."""
        self._ongoing(transactional_id, epoch, now)

    def send(self, transactional_id: str, epoch: int, now: float, sent: SentOffsets) -> None:
        """Hold offsets that were checked until the end."""
        ongoing = self._ongoing(transactional_id, epoch, now)
        sent.group.offsets.hold(ongoing.transaction, sent.offsets)
        ongoing.sent.append(sent)

    def current(self, transactional_id: str, epoch: int) -> Ongoing | None:
        """What is open under this epoch, if anything is."""
        return self._checked(transactional_id, epoch).ongoing

    def end(self, transactional_id: str, *, commit: bool) -> None:
        """Commit or abort what is ``current``."""
        found = self._ids[transactional_id]
        if found.ongoing is not None:
            found.ongoing.end(commit=commit)
            found.ongoing = None

    def fence(self, transactional_id: str, epoch: int) -> Fence | None:
        """Why an epoch has passed; None when it has not, or never was."""
        found = self._ids.get(transactional_id)
        return None if found is None else found.passed.get(epoch)

    def reload(self, now: float) -> None:
        """Go on after the broker was away: transactions that took too long meanwhile are found at the next look."""
        for found in self._ids.values():
            if found.ongoing is not None:
                self._watch(found, found.ongoing, now)

    def _ongoing(self, transactional_id: str, epoch: int, now: float) -> Ongoing:
        found = self._checked(transactional_id, epoch)
        if found.ongoing is None:
            found.ongoing = Ongoing(now + found.timeout_s)
            self._watch(found, found.ongoing, now)
        return found.ongoing

    def _checked(self, transactional_id: str, epoch: int) -> _Id:
        found = self._ids.get(transactional_id)
        if found is None or found.epoch != epoch:
            now = "none" if found is None else found.epoch
            raise RefusedError(Refusal.PRODUCER_FENCED, f"{transactional_id} has epoch {now}, not {epoch}")
        return found

    def _watch(self, found: _Id, ongoing: Ongoing, now: float) -> None:
        look = math.ceil(max(ongoing.deadline, now) / CHECK_S) * CHECK_S

        def give_up(_when: float) -> None:
            if found.ongoing is ongoing:
                self._fence(found, Fence.OVERDUE)

        self._timers.at(look, give_up)

    @staticmethod
    def _fence(found: _Id, why: Fence) -> None:
        found.passed[found.epoch] = why
        found.epoch += 1
        ongoing, found.ongoing = found.ongoing, None
        if ongoing is not None:
            ongoing.end(commit=False)
