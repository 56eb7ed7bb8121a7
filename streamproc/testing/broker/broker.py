"""One cluster, as its clients and its judges see it."""

from collections.abc import Callable, Sequence
from typing import Literal

from streamproc.records.record import CommitOffset, Headers, Record, TopicPartition
from streamproc.telemetry.clock import Clock
from streamproc.testing.broker.classic_group import ClassicGroup
from streamproc.testing.broker.classic_membership import ClassicMembership
from streamproc.testing.broker.consumer_group import ConsumerGroup
from streamproc.testing.broker.consumer_membership import ConsumerMembership
from streamproc.testing.broker.errors import BrokerUnavailable
from streamproc.testing.broker.log import Isolation, PartitionLog
from streamproc.testing.broker.membership import Membership
from streamproc.testing.broker.timers import Timers
from streamproc.testing.broker.topics import Topics, check_size
from streamproc.testing.broker.transactions import Fence, SentOffsets, Transactions
from streamproc.testing.broker.values import Commit, GroupMetadata

GroupProtocol = Literal["consumer", "classic"]


class MemoryBroker:
    """Every call of a client first lets time act, then raises BrokerUnavailable while the cluster is ``down``.

    ``observers`` are called with each commit at the instant at which it counts; ``refused`` counts calls and polls that
    had no answer.
    """

    def __init__(self, clock: Clock, *, protocol: GroupProtocol = "consumer", session_timeout_s: float = 6) -> None:
        self.protocol = protocol
        self.session_timeout_s = session_timeout_s
        self.observers: list[Callable[[Commit], None]] = []
        self.client_timers = Timers()
        self.gone_since: float | None = None
        self.refused = 0
        self._clock = clock
        self._timers = Timers()
        self._topics = Topics()
        self._transactions = Transactions(self._timers)
        self._groups: dict[str, ConsumerGroup | ClassicGroup] = {}
        self._clients: list[Membership] = []

    # --- time and faults ---------------------------------------------------------------------------------------------

    def act(self) -> float:
        """Let time act; the time."""
        now = self._clock.monotonic()
        clients, own = self.client_timers, self._timers
        while clients.due <= now or (own.due <= now and self.gone_since is None):
            if clients.due <= own.due or self.gone_since is not None:
                clients.run_next()
            else:
                own.run_next()
        return now

    def enter(self) -> float:
        """Begin a call; the time. Raises BrokerUnavailable."""
        now = self.act()
        if self.gone_since is not None:
            self.refused += 1
            raise BrokerUnavailable("no broker answers")
        return now

    @property
    def down(self) -> bool:
        """Whether no call is answered. What is open stays open, and no session or transaction runs out meanwhile."""
        return self.gone_since is not None

    @down.setter
    def down(self, down: bool) -> None:
        now = self.act()
        if down == self.down:
            return
        if down:
            self.gone_since = now
            for client in self._clients:
                client.broker_gone(now)
            return
        self.gone_since = None
        self._timers.clear()
        self._transactions.reload(now)
        for group in self._groups.values():
            group.reload(now)
        for client in self._clients:
            client.broker_back(now)

    def restart(self) -> None:
        """Break every connection; the log, the members and what is open survive, and sessions begin again."""
        self.down = True
        self.down = False

    def evict(self, member_id: str) -> None:
        """Take a member out of its group, as an operator can; it learns so at its next heartbeat."""
        now = self.act()
        for group in self._groups.values():
            group.leave(member_id, now)
        for client in self._clients:
            if client.member_id == member_id:
                client.has_news(now)

    # --- topics ------------------------------------------------------------------------------------------------------

    def create_topic(self, name: str, partitions: int, retention_ms: int | None = None) -> None:
        """Make a topic. Raises UsageError for one that is there."""
        self._topics.create(name, partitions, retention_ms)

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
    ) -> Record:
        """Write a record without a transaction; as it stands in the log."""
        self.enter()
        check_size(key, value)
        return self._topics.log(topic, partition).append(self._stamp(timestamp_ms), key, value, headers, None)

    def choose(self, topic: str, key: bytes | None) -> int:
        """The partition that a record with this key goes to."""
        return self._topics.choose(topic, key)

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        """Of one topic, in order. Raises UsageError for an unknown one."""
        return self._topics.names([topic])

    def log(self, partition: TopicPartition) -> PartitionLog:
        """One log, after what its topic's retention let go of. Raises UsageError."""
        log = self._topics.log(partition.topic, partition.partition)
        if log.retention_ms is not None:
            log.pass_retention(self._clock.wall_ms())
        return log

    def read(self, topic: str, partition: int, isolation: Isolation = "read_committed") -> Sequence[Record]:
        """What a reader of the whole partition sees."""
        log = self.log(TopicPartition(topic, partition))
        return log.fetch(log.start, log.end - log.start, isolation)[0]

    def delete_records(self, partition: TopicPartition, before: int) -> None:
        """Let go of the beginning of a partition."""
        self.log(partition).delete_before(before)

    def remove(self, partition: TopicPartition, offset: int) -> None:
        """Leave a hole, as compaction does."""
        self.log(partition).remove(offset)

    # --- groups ------------------------------------------------------------------------------------------------------

    def join(self, group: str, topics: Sequence[str], max_poll_interval_s: float) -> Membership:
        """Begin a client's membership, which joins as soon as a broker answers."""
        self.act()
        found = self._group(group)
        found.partitions = self._topics.names(topics)
        member: Membership
        if isinstance(found, ConsumerGroup):
            member = ConsumerMembership(self, found, max_poll_interval_s, self.session_timeout_s)
        else:
            member = ClassicMembership(self, found, max_poll_interval_s, self.session_timeout_s)
        self._clients.append(member)
        return member

    def owner(self, group: str, partition: TopicPartition) -> str | None:
        """The member that may work on a partition now: given to it, and not yet given back or taken away."""
        self.act()
        return self._group(group).owner(partition)

    def committed(self, group: str, partition: TopicPartition) -> CommitOffset | None:
        """What counts now."""
        self.act()
        return self._group(group).offsets.committed(partition)

    def fetch_offsets(self, member: GroupMetadata, partitions: Sequence[TopicPartition]) -> Sequence[CommitOffset]:
        """Where a member starts: the committed offset, else the first record that is there.

        Raises RefusedError for a membership that has passed, and while a transaction over one of them is open.
        """
        self.enter()
        group = self._group(member.group)
        group.check_fetch(member.member_id, member.epoch)
        committed = group.offsets.fetch(partitions)
        return [committed.get(p) or CommitOffset(p.topic, p.partition, self.log(p).start) for p in partitions]

    def commit_offsets(self, member: GroupMetadata, offsets: Sequence[CommitOffset]) -> None:
        """Commit without a transaction. Raises RefusedError."""
        now = self.enter()
        sent = self._checked(member, offsets)
        seen = sent.seen()
        sent.group.offsets.commit(offsets)
        self._notify(Commit(now, None, -1, member.group, member.member_id, (), seen))

    # --- transactions ------------------------------------------------------------------------------------------------

    def init_transactions(self, transactional_id: str, timeout_s: float) -> int:
        """Take a transactional id from whoever had it, aborting what is open; the epoch."""
        self.enter()
        return self._transactions.init(transactional_id, timeout_s)

    def produce(
        self,
        transactional_id: str,
        epoch: int,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
    ) -> Record:
        """Write a record in a transaction, which begins with its first call. Raises RefusedError."""
        now = self.enter()
        check_size(key, value)
        log = self._topics.log(topic, partition)
        return self._transactions.write(transactional_id, epoch, now, log, self._clock.wall_ms(), key, value, headers)

    def send_offsets(
        self, transactional_id: str, epoch: int, member: GroupMetadata, offsets: Sequence[CommitOffset]
    ) -> None:
        """Add offsets to a transaction. Raises RefusedError for a passed epoch or a passed membership."""
        now = self.enter()
        self._transactions.touch(transactional_id, epoch, now)
        self._transactions.send(transactional_id, epoch, now, self._checked(member, offsets))

    def end_transaction(self, transactional_id: str, epoch: int, *, commit: bool) -> None:
        """Commit or abort. Raises RefusedError for a passed epoch."""
        now = self.enter()
        ongoing = self._transactions.current(transactional_id, epoch)
        if ongoing is None:
            return
        offsets = tuple(offset for sent in ongoing.sent for offset in sent.seen()) if commit else ()
        self._transactions.end(transactional_id, commit=commit)
        if commit:
            first = ongoing.sent[0] if ongoing.sent else None
            group, member_id = (first.group.name, first.member_id) if first else (None, None)
            self._notify(Commit(now, transactional_id, epoch, group, member_id, tuple(ongoing.outputs), offsets))

    def fence(self, transactional_id: str, epoch: int) -> Fence | None:
        """Why a producer's epoch has passed; None when it has not, or never was."""
        self.act()
        return self._transactions.fence(transactional_id, epoch)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _group(self, name: str) -> ConsumerGroup | ClassicGroup:
        found = self._groups.get(name)
        if found is None:
            kind = ConsumerGroup if self.protocol == "consumer" else ClassicGroup
            found = self._groups[name] = kind(name, self._timers, self.session_timeout_s)
        return found

    def _checked(self, member: GroupMetadata, offsets: Sequence[CommitOffset]) -> SentOffsets:
        group = self._group(member.group)
        partitions = [TopicPartition(offset.topic, offset.partition) for offset in offsets]
        group.check_commit(member.member_id, member.epoch, partitions)
        return SentOffsets(group, member.member_id, offsets, [group.last_owner(partition) for partition in partitions])

    def _stamp(self, timestamp_ms: int | None) -> int:
        return self._clock.wall_ms() if timestamp_ms is None else timestamp_ms

    def _notify(self, commit: Commit) -> None:
        for observer in self.observers:
            observer(commit)
