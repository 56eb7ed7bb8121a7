"""A member of a KIP-848 group, seen from the client."""

from streamproc.testing.broker.consumer_group import ConsumerGroup
from streamproc.testing.broker.errors import RefusedError
from streamproc.testing.broker.membership import Cluster, Membership


class ConsumerMembership(Membership):
    """Knows no session timeout: it goes on until the coordinator says that it is no member any more."""

    def __init__(
        self, cluster: Cluster, group: ConsumerGroup, max_poll_interval_s: float, session_timeout_s: float
    ) -> None:
        super().__init__(cluster, group, max_poll_interval_s, session_timeout_s)
        self._group = group
        self._joined = False
        self._join(self._born)

    def broker_gone(self, now: float) -> None:
        """Nothing to do but to find it again."""

    def _woke(self, heard_until: float, now: float) -> None:
        """The next heartbeat tells."""

    def _join(self, now: float) -> None:
        if self.talks:
            self._joined = True
            self.epoch, wanted = self._group.join(self.member_id, self, self._max_poll_interval_s, now)
            self._want(wanted)

    def _rejoin(self, now: float) -> None:
        self._silent = self._joined = False
        self._join(now)

    def _acknowledge(self, now: float) -> None:
        if self.talks:
            self._learn(now)

    def _learn(self, now: float) -> None:
        if not self._joined:
            self._join(now)
            return
        try:
            self.epoch, wanted = self._group.heartbeat(self.member_id, self.epoch, self.owned, now)
        except RefusedError:
            self._lose()
        else:
            self._want(wanted)

    def _late(self, now: float) -> None:
        # The client stops its heartbeats and leaves only after the application has let go of what it has, which it
        # does when it polls again: until then the session runs out.
        self._fall_silent(now)
