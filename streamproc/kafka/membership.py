"""Who a worker is in its group when it begins a commit."""

from typing import NamedTuple

from confluent_kafka import Consumer


class Membership(NamedTuple):
    """What a source gives and a sink takes back, so that neither commits for what was lost in between."""

    metadata: object
    """The client's own, for a transaction: the broker refuses one that a rebalance has overtaken."""
    departures: int
    """How often partitions had gone away. A commit without a transaction is made under whatever membership the client
    has by then, so the source itself refuses one that was begun before the last departure."""


def known(membership: object) -> Membership:
    """What comes back through the worker, which does not look inside. Raises TypeError for anything else."""
    if not isinstance(membership, Membership):
        raise TypeError(f"a sink needs the membership that its source gave, not {membership!r}")
    return membership


class Identity:
    """The membership of one consumer as the polling thread last learned it. ``now`` is safe from any thread.

    The client lets one thread at a time call a consumer, and the others wait without a turn: asked from the commit
    thread beside a thread that polls, it had not answered after 100 s.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._member: str | None = None
        self._departures = 0
        self._now = Membership(consumer.consumer_group_metadata(), 0)

    @property
    def now(self) -> Membership:
        """What the next commit is begun under. One that a rebalance has overtaken since is refused by the broker."""
        return self._now

    @property
    def departures(self) -> int:
        """How often partitions have gone away."""
        return self._departures

    def assigned(self, consumer: Consumer) -> None:
        """Learn under which name the group gave us partitions."""
        self._member = consumer.memberid()
        self.learn(consumer)

    def departed(self) -> None:
        """Note that partitions have gone away."""
        self._departures += 1

    def learn(self, consumer: Consumer) -> None:
        """Learn the identity of now, unless the group gave the member up and nobody was told yet.

        What is said to be ours is then somebody else's, and no identity may be given that would pass for it.

        With ``classic`` the client's identity is empty by then, and a transaction under an empty one is not refused:
        the broker takes it for that of a client without a group. So an identity is learned only while the client has
        the name that we were assigned partitions under. It has no other before the loss was told: it joins again only
        after ``on_lost``.

        With ``consumer`` the name is the client's own and never changes, so this holds always, and what protects is
        the epoch. Until ``on_lost`` has run the client keeps the last one it was granted, sends no heartbeat and so
        is granted no newer one; after it, and until it is a member again, it has epoch 0. The broker refuses both: it
        knows no such member, or knows it under a higher epoch with partitions assigned since (KIP-1251). Only a
        negative epoch would pass for that of a client without a group, and a member that has joined never has one.
        """
        metadata = consumer.consumer_group_metadata()
        if consumer.memberid() == self._member:  # asked second: what was learned before was still the member's
            self._now = Membership(metadata, self._departures)
