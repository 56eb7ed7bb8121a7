"""What a worker and its source tell each other, heard on the way."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.testing.broker.source import BrokerSource
from streamproc.testing.broker.values import GroupMetadata
from streamproc.worker.ports import Assignments


class Heard:
    """Stands between the two: for the source it is the worker, for the worker the source.

    ``now`` is virtual time, ``ran_s`` says for how long the process has run: without the time in which it was frozen.
    """

    def __init__(
        self,
        assignments: Assignments,
        now: Callable[[], float],
        ran_s: Callable[[], float],
        tell: Callable[[str], None],
        begun: Callable[[Iterable[CommitOffset]], None],
        given_back: Callable[[Iterable[TopicPartition]], None],
    ) -> None:
        self._assignments = assignments
        self._now = now
        self._ran_s = ran_s
        self._tell = tell
        self._begun = begun
        self._given_back = given_back
        self._source: BrokerSource
        self._longest_s = 0.0
        self.polled_at = now()
        """When its last poll began (virtual s). It can last, as when it waits for offsets of an open transaction."""
        self._revoking_since: float | None = None
        self.leaving = False
        """Whether it leaves its group, for whatever reason: what it holds ends with it."""
        self.polled: dict[TopicPartition, set[int]] = {}
        """Offsets of the records that were handed over, by the partitions that are the worker's."""

    def listen(self, source: BrokerSource) -> None:
        """Pass on to this source what the worker asks."""
        self._source = source

    @property
    def revoke_s(self) -> float:
        """The longest that the worker took to let go of partitions, so far."""
        since = self._revoking_since
        return self._longest_s if since is None else max(self._longest_s, self._ran_s() - since)

    # --- for the source ----------------------------------------------------------------------------------------------

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """Tell where partitions start."""
        self._tell(
            f"is assigned {[f'{place} from {start.offset} {start.metadata}' for place, start in starts.items()]}"
        )
        self._begun(starts.values())
        self.polled.update((place, set()) for place in starts)
        self._assignments.assigned(starts)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Tell when a revoke begins and ends."""
        self._tell(f"is to give back {[*map(str, partitions)]}")
        self._revoking_since = self._ran_s()
        self._assignments.revoked(partitions)
        self._longest_s, self._revoking_since = self.revoke_s, None
        self._forget(partitions)
        self._given_back(partitions)
        self._tell(f"has given back {[*map(str, partitions)]}")

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Tell what is gone."""
        self._tell(f"has lost {[*map(str, partitions)]}")
        self._forget(partitions)
        self._assignments.lost(partitions)

    def asked(self) -> None:
        """Pass on that somebody waits for the polling thread."""
        self._assignments.asked()

    # --- for the worker ----------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str | None:
        """What keeps records from coming just now."""
        return self._source.trouble

    @property
    def drained(self) -> Mapping[TopicPartition, int]:
        """Where partitions ended whose last record was taken."""
        return self._source.drained

    @property
    def revoking(self) -> bool:
        """Whether it has been told to give partitions back, and has not done so yet."""
        return self._revoking_since is not None

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Up to ``most`` records. Raises FatalError."""
        self.polled_at = self._now()
        records = self._source.poll(most, timeout_s)
        for record in records:
            self.polled[record.source].add(record.offset)
        return records

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Make exactly this set paused."""
        self._source.pause(partitions)

    def serve(self) -> None:
        """Do what other threads asked of the consumer."""
        self._source.serve()

    def group_metadata(self) -> GroupMetadata:
        """The member's identity for a transaction."""
        return self._source.group_metadata()

    def close(self) -> None:
        """Leave the group."""
        self.leaving = True
        self._source.close()

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self.polled.pop(partition, None)
