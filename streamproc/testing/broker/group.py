"""What both group protocols have in common: members that are heard of or not, partitions that somebody holds."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Protocol

from streamproc.records.record import TopicPartition
from streamproc.testing.broker.errors import Refusal, RefusedError
from streamproc.testing.broker.group_offsets import GroupOffsets
from streamproc.testing.broker.timers import Timers


class Client(Protocol):
    """A member as it can be reached: it asks by itself, at its next heartbeat."""

    def has_news(self, now: float) -> None:
        """There is something to learn from the coordinator."""
        ...


class Group(ABC):
    """One group, as its coordinator knows it."""

    def __init__(self, name: str, timers: Timers, session_timeout_s: float) -> None:
        self.name = name
        self.offsets = GroupOffsets()
        self.partitions: Sequence[TopicPartition] = ()
        self._timers = timers
        self._session_timeout_s = session_timeout_s
        self._holders: dict[TopicPartition, str] = {}
        self._silent: dict[str, float] = {}
        self._names = 0

    def new_member_id(self) -> str:
        """A name that nobody had."""
        self._names += 1
        return f"{self.name}-{self._names}"

    def owner(self, partition: TopicPartition) -> str | None:
        """Who may work on it: it was given to that member, which has neither given it back nor been given up."""
        return self._holders.get(partition)

    def last_owner(self, partition: TopicPartition) -> str | None:
        """Its owner, or who was until just now: nobody else can be before a commit of that one counts."""
        return self.owner(partition)

    @abstractmethod
    def members(self) -> Collection[str]:
        """Who is in the group."""

    @abstractmethod
    def leave(self, member_id: str, now: float) -> None:
        """Let a member go; no matter if it has gone already."""

    @abstractmethod
    def check_commit(self, member_id: str, epoch: int, partitions: Sequence[TopicPartition]) -> None:
        """Raise RefusedError when this member may not commit for these partitions."""

    @abstractmethod
    def check_fetch(self, member_id: str, epoch: int) -> None:
        """Raise RefusedError when this member may not ask where it starts."""

    @abstractmethod
    def reload(self, now: float) -> None:
        """Go on after the broker was away."""

    def silence(self, member_id: str, last_heard: float) -> None:
        """Nothing will be heard of a member from ``last_heard`` on."""
        if member_id not in self.members():
            return
        expires = last_heard + self._session_timeout_s
        self._silent[member_id] = expires
        self._timers.at(expires, lambda when: self._expire(member_id, when))

    def hear(self, member_id: str) -> None:
        """A member is heard of again."""
        self._silent.pop(member_id, None)

    def _expire(self, member_id: str, when: float) -> None:
        if self._silent.get(member_id) == when:
            self.leave(member_id, when)

    def _sessions_begin_again(self, now: float) -> None:
        for member_id in list(self._silent):
            self.silence(member_id, now)

    def _release_all(self, member_id: str) -> None:
        self._silent.pop(member_id, None)
        for partition in [p for p, holder in self._holders.items() if holder == member_id]:
            del self._holders[partition]

    def _unknown(self, member_id: str) -> RefusedError:
        return RefusedError(Refusal.UNKNOWN_MEMBER_ID, f"{member_id} is not in {self.name}")
