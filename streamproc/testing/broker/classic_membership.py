"""A member of a classic group, seen from the client."""

from streamproc.records.record import TopicPartition
from streamproc.testing.broker.classic_group import ClassicGroup
from streamproc.testing.broker.errors import RefusedError
from streamproc.testing.broker.membership import Change, Cluster, Membership, Task


class ClassicMembership(Membership):
    """Joins again whenever the group does, keeping what it has, and once more after giving something up."""

    def __init__(
        self, cluster: Cluster, group: ClassicGroup, max_poll_interval_s: float, session_timeout_s: float
    ) -> None:
        super().__init__(cluster, group, max_poll_interval_s, session_timeout_s)
        self._group = group
        self._session_timeout_s = session_timeout_s
        self._held: tuple[int, tuple[TopicPartition, ...]] | None = None
        """The outcome of a round that came while the process stood still."""
        self._joining = False
        self._join_again = False
        """There is a round to be taken part in, once the callbacks of the last one are made."""
        self._calling = False
        """The callbacks of the last round are not all made."""
        self._join(self._born)

    def synced(self, generation: int, assigned: tuple[TopicPartition, ...]) -> None:
        """The round is over."""
        if self._frozen_at is not None:
            self._held = (generation, assigned)
            return
        self._held = None
        self._joining = False
        self._calling = True
        self._join_again = any(partition not in assigned for partition in self.owned)
        self.epoch = generation
        self._want(assigned)

    def broker_gone(self, now: float) -> None:
        """Without a heartbeat for the session's time this client gives itself up."""
        heard_until = self._last_tick(now)

        def expire(when: float) -> None:
            if self._cluster.gone_since == now and self._alive and self._frozen_at is None:
                self._woke(heard_until, when)

        self._cluster.client_timers.at(heard_until + self._session_timeout_s, expire)

    def _woke(self, heard_until: float, now: float) -> None:
        if now - heard_until >= self._session_timeout_s:
            # The name is given up with the session; what the coordinator has under it runs out there.
            self._silent = True
            self._group.silence(self.member_id, heard_until)
            self._lose()
        elif self._held is not None:
            self.synced(*self._held)

    def _difference(self) -> Task | None:
        task = super()._difference()
        if task is None and self._calling:
            return Task(Change.ASSIGN, ())
        return task

    def _join(self, now: float) -> None:
        self._join_again = True
        if self.talks and not self._joining:
            self._joining = True
            self._group.join(self.member_id, self, self.owned, self._max_poll_interval_s, now)

    def _rejoin(self, now: float) -> None:
        self.member_id = self._group.new_member_id()
        self.epoch = 0
        self._silent = self._joining = self._calling = False
        self._held = None
        self._join(now)

    def _acknowledge(self, now: float) -> None:
        if all(partition in self.owned for partition in self._wanted):
            self._calling = False
            self._learn(now)

    def _learn(self, now: float) -> None:
        if not self.talks:
            return
        if self._joining and self.member_id not in self._group.members():
            self._lose()  # it was taken out while its round went on: the join is answered by a refusal
            return
        try:
            # A member that was taken out meanwhile learns so here, whether it was about to join again or not.
            again = (self.epoch > 0 and self._group.heartbeat(self.member_id)) or self._join_again
        except RefusedError:
            self._lose()
        else:
            if again and not self._calling:
                self._join(now)

    def _late(self, now: float) -> None:
        if self.talks:
            self._group.leave(self.member_id, now)
        else:
            self._fall_silent(now)
