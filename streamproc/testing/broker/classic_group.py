"""The classic protocol with the cooperative assignor: everybody joins again, and the group has one generation.

A partition that is to move is first given to nobody; its owner lets it go and joins again, which makes the second
round that gives it away. Joining and being told the outcome is one step here: no member sees a half-done round.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from streamproc.records.record import TopicPartition
from streamproc.testing.broker.assignor import balance
from streamproc.testing.broker.errors import Refusal, RefusedError
from streamproc.testing.broker.group import Client, Group
from streamproc.testing.broker.timers import Timers


class JoiningClient(Client, Protocol):
    """A member that waits for the end of a round."""

    def synced(self, generation: int, assigned: tuple[TopicPartition, ...]) -> None:
        """The round is over."""
        ...


class _Member:
    __slots__ = ("client", "joined", "rebalance_timeout_s")

    def __init__(self, client: JoiningClient, rebalance_timeout_s: float) -> None:
        self.client = client
        self.rebalance_timeout_s = rebalance_timeout_s
        self.joined = False


class ClassicGroup(Group):
    """A round ends when every member has joined again, or has been given up."""

    def __init__(self, name: str, timers: Timers, session_timeout_s: float) -> None:
        super().__init__(name, timers, session_timeout_s)
        self._generation = 0
        self._members: dict[str, _Member] = {}
        self._round = 0
        self._given_back: dict[TopicPartition, str] = {}
        """By whom, in a round that is not over. Its generation is not, either: whoever is next begins with the next."""
        self._rebalancing = False

    def members(self) -> Collection[str]:
        """Who is in the group."""
        return self._members

    def join(
        self,
        member_id: str,
        client: JoiningClient,
        owned: Collection[TopicPartition],
        rebalance_timeout_s: float,
        now: float,
    ) -> None:
        """Take part in a round, begun by this if none is going on. ``owned``: what the member has not given up."""
        member = self._members.get(member_id)
        if member is None:
            member = self._members[member_id] = _Member(client, rebalance_timeout_s)
        for partition in [p for p, holder in self._holders.items() if holder == member_id and p not in owned]:
            self._given_back[partition] = self._holders.pop(partition)
        if not self._rebalancing:
            self._begin(now)
        member.joined = True
        self._complete_if_all_joined()

    def last_owner(self, partition: TopicPartition) -> str | None:
        """Its owner, or who gave it back in this round."""
        return self.owner(partition) or self._given_back.get(partition)

    def leave(self, member_id: str, now: float) -> None:
        """Let a member go; no matter if it has gone already."""
        if self._members.pop(member_id, None) is None:
            return
        self._release_all(member_id)
        if not self._rebalancing:
            self._begin(now)
        self._complete_if_all_joined()

    def heartbeat(self, member_id: str) -> bool:
        """Whether the member is to join again. Raises RefusedError for one that is no member."""
        member = self._members.get(member_id)
        if member is None:
            raise self._unknown(member_id)
        return self._rebalancing and not member.joined

    def check_commit(self, member_id: str, epoch: int, partitions: Sequence[TopicPartition]) -> None:  # noqa: ARG002  # this protocol looks at the generation alone
        """Refuse a commit of a stranger or of another generation; whose the partitions are is not asked."""
        if epoch < 0 and not self._members:
            return
        if member_id not in self._members:
            raise self._unknown(member_id)
        if epoch != self._generation:
            raise RefusedError(
                Refusal.ILLEGAL_GENERATION, f"{self.name} is at generation {self._generation}, not {epoch}"
            )

    def check_fetch(self, member_id: str, epoch: int) -> None:
        """Anybody may ask."""

    def reload(self, now: float) -> None:
        """Go on after the broker was away: sessions and the round get their time anew."""
        self._sessions_begin_again(now)
        if self._rebalancing:
            self._watch(now)

    def _begin(self, now: float) -> None:
        self._rebalancing = True
        self._round += 1
        for member in self._members.values():
            member.joined = False
            member.client.has_news(now)
        self._watch(now)

    def _watch(self, now: float) -> None:
        """Give up members that do not join again in time."""
        this = self._round
        longest = max((member.rebalance_timeout_s for member in self._members.values()), default=0.0)

        def give_up(_when: float) -> None:
            if self._rebalancing and self._round == this:
                for member_id in [name for name, member in self._members.items() if not member.joined]:
                    del self._members[member_id]
                    self._release_all(member_id)
                self._complete_if_all_joined()

        self._timers.at(now + longest, give_up)

    def _complete_if_all_joined(self) -> None:
        if not all(member.joined for member in self._members.values()):
            return
        self._rebalancing = False
        self._generation += 1
        self._given_back.clear()
        target = balance(self.partitions, list(self._members), self._holders)
        given = {}
        for member_id, wanted in target.items():
            given[member_id] = tuple(p for p in wanted if self._holders.get(p, member_id) == member_id)
        for member_id, partitions in given.items():
            self._holders.update(dict.fromkeys(partitions, member_id))
            self._members[member_id].client.synced(self._generation, partitions)
