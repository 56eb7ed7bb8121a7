"""The part of a client that keeps it in its group: what librdkafka's own thread does."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple, Protocol

from streamproc.records.record import TopicPartition
from streamproc.testing.broker.group import Group
from streamproc.testing.broker.timers import Timers
from streamproc.testing.broker.values import GroupMetadata

_ROUND_TRIP_S = 0.005
"""What passes between waking up and the broker's first word: enough for a poll to come first."""


class Change(Enum):
    """What a client tells its application, inside a poll."""

    LOST = auto()
    REVOKE = auto()
    ASSIGN = auto()


class Task(NamedTuple):
    """One callback to make."""

    change: Change
    partitions: tuple[TopicPartition, ...]


class Cluster(Protocol):
    """What a client needs of the cluster besides its group."""

    @property
    def client_timers(self) -> Timers:
        """What clients do at a later time, broker or not."""
        ...

    @property
    def down(self) -> bool:
        """Whether no broker answers."""
        ...

    @property
    def gone_since(self) -> float | None:
        """Since when none does."""
        ...

    def act(self) -> float:
        """Let time act; the time."""
        ...


class Membership(ABC):
    """Heartbeats go on while the process lives and is not frozen, whoever polls or not.

    A client that has nothing to learn sends no heartbeats here, since they would change nothing: what matters is
    when it learns (at the ticks of its interval) and since when it is silent.
    """

    def __init__(self, cluster: Cluster, group: Group, max_poll_interval_s: float, session_timeout_s: float) -> None:
        self._cluster = cluster
        self._of = group
        self._max_poll_interval_s = max_poll_interval_s
        self._heartbeat_s = session_timeout_s / 4
        self._born = cluster.act()
        self._alive = True
        self._frozen_at: float | None = None
        self._silent = False
        self._learns_at: float | None = None
        self._poll_due: float | None = None
        self._poll_watched = False
        self._todo = False
        self._lost = False
        self._wanted: tuple[TopicPartition, ...] = ()
        self.owned: dict[TopicPartition, None] = {}
        """What the application has and has not given back."""
        self.member_id = group.new_member_id()
        self.epoch = 0
        self.exceeded = False
        """Whether the application polled too late, which it has not been told yet."""
        self.poll_ends()

    @property
    def talks(self) -> bool:
        """Whether the client and the coordinator hear each other."""
        return self._alive and self._frozen_at is None and not self._cluster.down

    @property
    def given_up(self) -> bool:
        """Whether the group gave it up and the application has not been told."""
        return self._lost

    def metadata(self, departures: int = 0) -> GroupMetadata:
        """The identity as of now."""
        return GroupMetadata(self._of.name, self.member_id, self.epoch, departures)

    # --- the application's thread ------------------------------------------------------------------------------------

    def poll_begins(self) -> None:
        """While it polls, an application cannot be late."""
        self._poll_due = None

    def poll_ends(self) -> None:
        """The time until the next poll begins."""
        self._poll_due = due = self._cluster.act() + self._max_poll_interval_s
        if not self._poll_watched:
            self._poll_watched = True
            self._cluster.client_timers.at(due, self._look_at_poll)

    def next_task(self) -> Task | None:
        """The callback to be made now; ``begin`` it, then ``finish`` it."""
        if not self._todo:
            return None
        task = Task(Change.LOST, tuple(self.owned)) if self._lost else self._difference()
        self._todo = task is not None
        return task

    def begin(self, task: Task) -> None:
        """The callback is about to be made."""
        if task.change is Change.ASSIGN:
            self.owned.update(dict.fromkeys(task.partitions))

    def finish(self, task: Task) -> None:
        """The callback has returned: the coordinator may know."""
        now = self._cluster.act()
        if task.change is Change.LOST:
            self.owned.clear()
            self._lost = False
            self._wanted = ()
            self._rejoin(now)
            return
        if task.change is Change.REVOKE:
            for partition in task.partitions:
                del self.owned[partition]
        if not self._lost:
            self._acknowledge(now)

    def leave(self) -> None:
        """Say goodbye, if anybody hears it, and be gone."""
        now = self._cluster.act()
        if self.talks:
            self._of.leave(self.member_id, now)
        elif self._frozen_at is None:
            self._fall_silent(now)
        self._alive = False

    # --- what becomes of the process ---------------------------------------------------------------------------------

    def die(self) -> None:
        """Vanish without a word."""
        now = self._cluster.act()
        if self._alive:
            self._alive = False
            self._fall_silent(now)

    def freeze(self) -> None:
        """Stand still, as a process that is stopped or swapped out."""
        now = self._cluster.act()
        if self._frozen_at is None and self._alive:
            self._frozen_at = now
            self._fall_silent(now)

    def thaw(self) -> None:
        """Go on as if nothing had happened, and be told a moment later what has."""
        now = self._cluster.act()
        if self._frozen_at is None or not self._alive:
            return
        frozen_at, self._frozen_at = self._frozen_at, None
        if not self._lost:
            self._silent = False
            self._of.hear(self.member_id)
            self._woke(self._last_tick(frozen_at), now)
        self._learn_at(now + _ROUND_TRIP_S)
        if self._poll_due is not None:
            self._look_at_poll(now)

    # --- the client's own thread -------------------------------------------------------------------------------------

    def has_news(self, now: float) -> None:
        """There is something to learn at the next heartbeat."""
        self._learn_at(self._last_tick(now) + self._heartbeat_s)

    @abstractmethod
    def broker_gone(self, now: float) -> None:
        """Connections broke and cannot be made again."""

    def broker_back(self, now: float) -> None:
        """A broker answers again; the coordinator is found within a heartbeat."""
        self.has_news(now)

    @abstractmethod
    def _rejoin(self, now: float) -> None:
        """Begin as a new member, now or as soon as a broker answers."""

    @abstractmethod
    def _acknowledge(self, now: float) -> None:
        """Tell the coordinator what the application has now."""

    @abstractmethod
    def _learn(self, now: float) -> None:
        """One heartbeat that says something."""

    @abstractmethod
    def _late(self, now: float) -> None:
        """The application has not polled for too long."""

    @abstractmethod
    def _woke(self, heard_until: float, now: float) -> None:
        """Nothing was heard since then."""

    def _difference(self) -> Task | None:
        gone = tuple(p for p in self.owned if p not in self._wanted)
        if gone:
            return Task(Change.REVOKE, gone)
        new = tuple(p for p in self._wanted if p not in self.owned)
        return Task(Change.ASSIGN, new) if new else None

    def _lose(self) -> None:
        self._lost = self._todo = True

    def _want(self, partitions: Iterable[TopicPartition]) -> None:
        self._wanted = tuple(partitions)
        self._todo = True

    def _fall_silent(self, now: float) -> None:
        if not self._silent:
            self._silent = True
            self._of.silence(self.member_id, self._last_tick(now))

    def _last_tick(self, now: float) -> float:
        return now - (now - self._born) % self._heartbeat_s

    def _learn_at(self, when: float) -> None:
        if self._learns_at is None or when < self._learns_at:
            self._learns_at = when
            self._cluster.client_timers.at(when, self._tick)

    def _tick(self, when: float) -> None:
        if self._learns_at == when:
            self._learns_at = None
            if self.talks and not self._lost:
                self._learn(when)

    def _look_at_poll(self, when: float) -> None:
        self._poll_watched = False
        if self._poll_due is None or not self._alive or self._frozen_at is not None:
            return
        if when < self._poll_due:
            self._poll_watched = True
            self._cluster.client_timers.at(self._poll_due, self._look_at_poll)
        elif not self._lost:
            self.exceeded = True
            self._late(when)
            self._lose()
