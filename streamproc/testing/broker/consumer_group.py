"""KIP-848: each member follows the group's target at its own pace, and has an epoch of its own.

After ``CurrentAssignmentBuilder`` and ``ConsumerGroup.validateOffsetCommit`` of Kafka 4.3.
"""

from collections.abc import Collection, Sequence

from streamproc.records.record import TopicPartition
from streamproc.testing.broker.assignor import balance
from streamproc.testing.broker.errors import Refusal, RefusedError
from streamproc.testing.broker.group import Client, Group
from streamproc.testing.broker.timers import Timers


class _Member:
    __slots__ = ("assigned", "client", "epoch", "rebalance_timeout_s", "revoking", "waits")

    def __init__(self, client: Client, rebalance_timeout_s: float) -> None:
        self.client = client
        self.rebalance_timeout_s = rebalance_timeout_s
        self.epoch = 0
        self.assigned: dict[TopicPartition, int] = {}
        """With the epoch at which each was assigned."""
        self.revoking: dict[TopicPartition, int] = {}
        self.waits = False
        """For a partition that another member has not given back yet."""


class ConsumerGroup(Group):
    """A partition goes to its new owner once the old one has said that it gave it up, or was given up itself."""

    def __init__(self, name: str, timers: Timers, session_timeout_s: float) -> None:
        super().__init__(name, timers, session_timeout_s)
        self._epoch = 0
        self._members: dict[str, _Member] = {}
        self._target: dict[str, list[TopicPartition]] = {}

    def members(self) -> Collection[str]:
        """Who is in the group."""
        return self._members

    def join(
        self, member_id: str, client: Client, rebalance_timeout_s: float, now: float
    ) -> tuple[int, tuple[TopicPartition, ...]]:
        """Become a member; what ``heartbeat`` gives."""
        self.leave(member_id, now)
        member = self._members[member_id] = _Member(client, rebalance_timeout_s)
        self._retarget(now)
        self._reconcile(member_id, member, (), now)
        return member.epoch, tuple(member.assigned)

    def leave(self, member_id: str, now: float) -> None:
        """Let a member go; no matter if it has gone already."""
        if self._members.pop(member_id, None) is not None:
            self._release_all(member_id)
            self._retarget(now)

    def heartbeat(
        self, member_id: str, epoch: int, owned: Collection[TopicPartition], now: float
    ) -> tuple[int, tuple[TopicPartition, ...]]:
        """The member's epoch and what it is to have. ``owned``: what it has not given up.

        Raises RefusedError for one that is no member, or was one under another epoch.
        """
        member = self._members.get(member_id)
        if member is None:
            raise self._unknown(member_id)
        if epoch != member.epoch:
            raise RefusedError(Refusal.FENCED_MEMBER_EPOCH, f"{member_id} has epoch {member.epoch}, not {epoch}")
        self._reconcile(member_id, member, owned, now)
        return member.epoch, tuple(member.assigned)

    def check_commit(self, member_id: str, epoch: int, partitions: Sequence[TopicPartition]) -> None:
        """Refuse a commit of a stranger, or one older than the assignment of a partition.

        Under the member's current epoch nobody asks whether the partitions are its own.
        """
        if epoch < 0 and not self._members:
            return
        member = self._members.get(member_id)
        if member is None:
            raise self._unknown(member_id)
        if epoch == member.epoch:
            return
        for partition in partitions:
            since = member.assigned.get(partition, member.revoking.get(partition))
            if epoch > member.epoch or since is None or epoch < since:
                raise RefusedError(
                    Refusal.STALE_MEMBER_EPOCH,
                    f"{member_id} has epoch {member.epoch} and {partition} since {since}; {epoch} is refused",
                )

    def check_fetch(self, member_id: str, epoch: int) -> None:
        """Refuse a stranger, and a member under any epoch but its own."""
        member = self._members.get(member_id)
        if member is None:
            raise self._unknown(member_id)
        if epoch != member.epoch:
            raise RefusedError(Refusal.STALE_MEMBER_EPOCH, f"{member_id} has epoch {member.epoch}, not {epoch}")

    def reload(self, now: float) -> None:
        """Go on after the broker was away: sessions and revocations get their time anew."""
        self._sessions_begin_again(now)
        for member_id, member in self._members.items():
            if member.revoking:
                self._watch(member_id, member, now)

    def _retarget(self, now: float) -> None:
        self._epoch += 1
        current = {p: member_id for member_id, target in self._target.items() for p in target}
        self._target = balance(self.partitions, list(self._members), current)
        for member in self._members.values():
            member.client.has_news(now)

    def _reconcile(self, member_id: str, member: _Member, owned: Collection[TopicPartition], now: float) -> None:
        if member.revoking:
            if any(partition in owned for partition in member.revoking):
                return
            self._release(member.revoking, now)
            member.revoking = {}
        elif member.epoch == self._epoch and not member.waits:
            return
        target = self._target[member_id]
        gone = {p: since for p, since in member.assigned.items() if p not in target}
        for partition in gone:
            del member.assigned[partition]
        if any(partition in owned for partition in gone):
            # The epoch stays, so that what the member has in flight can still be committed under it.
            member.revoking = gone
            self._watch(member_id, member, now)
            return
        self._release(gone, now)
        self._assign(member_id, member, target)

    def _assign(self, member_id: str, member: _Member, target: Sequence[TopicPartition]) -> None:
        member.epoch = self._epoch
        member.waits = False
        for partition in target:
            if partition in member.assigned:
                continue
            if partition in self._holders:
                member.waits = True
            else:
                self._holders[partition] = member_id
                member.assigned[partition] = self._epoch

    def _release(self, partitions: Collection[TopicPartition], now: float) -> None:
        for partition in partitions:
            del self._holders[partition]
        if partitions:
            for member in self._members.values():
                if member.waits:
                    member.client.has_news(now)

    def _watch(self, member_id: str, member: _Member, now: float) -> None:
        """Give a member up that does not give back in time."""
        revoking = member.revoking

        def give_up(when: float) -> None:
            if self._members.get(member_id) is member and member.revoking is revoking:
                self.leave(member_id, when)

        self._timers.at(now + member.rebalance_timeout_s, give_up)
