"""The input topics as ``KafkaSource`` shows them, over the broker in memory."""

import threading
from collections.abc import Callable, Mapping, Sequence

from streamproc.errors import Fatal, FatalError
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.testing.broker.asked_commits import AskedCommits
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.errors import BrokerUnavailable
from streamproc.testing.broker.membership import Change, Task
from streamproc.testing.broker.reader import Reader
from streamproc.testing.broker.starts import Starts
from streamproc.testing.broker.values import GroupMetadata
from streamproc.worker.ports import Assignments

_PREFETCH = 1024
_NO_BROKER = "no broker answers"
_TOO_LATE = "max.poll.interval.ms exceeded"


class BrokerSource:
    """One member of ``group``, with a life of its own: ``die``, ``freeze`` and ``thaw`` are what happens to it.

    ``sleep`` lets time pass and others run. ``point`` is called with ``poll``, ``assign``, ``revoke`` and
    ``metadata`` where others may come in between; at ``poll`` and ``assign`` it may raise BrokerUnavailable. ``here``
    tells one thread from another.
    """

    def __init__(  # noqa: PLR0913  # its world, in parts
        self,
        broker: MemoryBroker,
        topics: Sequence[str],
        group: str,
        assignments: Assignments,
        *,
        max_poll_interval_s: float,
        sleep: Callable[[float], None],
        point: Callable[[str], None],
        start_budget_s: float = 45,
        here: Callable[[], object] = threading.get_ident,
    ) -> None:
        self._broker = broker
        self._assignments = assignments
        self._sleep = sleep
        self._point = point
        self._here = here
        self._starts = Starts(broker, start_budget_s, sleep, point)
        self._readers: dict[TopicPartition, Reader] = {}
        self._wanted_paused: frozenset[TopicPartition] = frozenset()
        self._polling_thread: object | None = None
        self._trouble: str | None = None
        self._turn = 0
        self._membership = broker.join(group, topics, max_poll_interval_s)
        self._commits = AskedCommits(broker, self._membership, sleep, assignments.asked)
        self._metadata = self._identity()

    # --- the port ----------------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str | None:
        """What keeps records from coming just now; None when nothing does."""
        return self._trouble

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """The partitions that are ours."""
        return frozenset(self._readers)

    @property
    def begun(self) -> frozenset[TopicPartition]:
        """Owned partitions of which something was delivered since they were assigned."""
        return frozenset(p for p, reader in self._readers.items() if reader.begun)

    @property
    def at_end(self) -> frozenset[TopicPartition]:
        """Owned partitions whose last record was taken."""
        return frozenset(p for p, reader in self._readers.items() if reader.at_end(self._broker.log(p)))

    @property
    def drained(self) -> Mapping[TopicPartition, int]:
        """Where those ended, as the client found out."""
        at_end = self.at_end
        return {partition: reader.position for partition, reader in self._readers.items() if partition in at_end}

    @property
    def member_id(self) -> str:
        """The name under which the coordinator knows us now."""
        return self._membership.member_id

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Up to ``most`` records, whatever arrived within ``timeout_s``. Runs the assignment callbacks.

        Raises FatalError when the offsets are beyond repair, naming what was lost.
        """
        self._polling_thread = self._here()
        self.serve()
        self._membership.poll_begins()
        try:
            records = self._consume(most, self._broker.act() + timeout_s)
        finally:
            self._membership.poll_ends()
        self._metadata = self._identity()
        return records

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Make exactly this set paused, of those owned; re-applied after each assignment."""
        self._wanted_paused = partitions
        for partition, reader in self._readers.items():
            if reader.paused != (partition in partitions):
                reader.pause(paused=not reader.paused)

    def group_metadata(self) -> GroupMetadata:
        """The member's identity for a transaction, as of the last ``poll`` or ``serve``."""
        self._point("metadata")
        return self._metadata

    def commit(self, offsets: Sequence[CommitOffset], metadata: GroupMetadata) -> None:
        """Commit without a transaction. Raises RefusedError, also when partitions went away, or BrokerUnavailable.

        The polling thread does it: any other waits for its next ``poll`` or ``serve``, be it in a poll or not.
        """
        at_once = self._polling_thread in {None, self._here()}
        self._commits.ask(offsets, metadata.departures, at_once=at_once)

    def serve(self) -> None:
        """Do what other threads asked of the consumer, for the polling thread while it waits or is in a callback."""
        if not self._membership.given_up:
            self._metadata = self._identity()
        self._commits.serve()

    def close(self) -> None:
        """Leave the group; revokes what is owned."""
        self._broker.act()
        task = self._membership.next_task()
        lost = task is not None and task.change is Change.LOST
        self._run(Task(Change.LOST if lost else Change.REVOKE, tuple(self._readers)))
        self._membership.leave()
        self._commits.close()

    # --- what becomes of the process ---------------------------------------------------------------------------------

    def die(self) -> None:
        """Vanish without a word; the group finds out when the session ends."""
        self._membership.die()

    def freeze(self) -> None:
        """Stand still: no heartbeats, and nobody may call anything until ``thaw``."""
        self._membership.freeze()

    def thaw(self) -> None:
        """Go on where it stood, with what was fetched and owned then."""
        self._membership.thaw()

    def rewind(self, partition: TopicPartition, by: int, again: Callable[[], object] = lambda: None) -> None:
        """Let the client deliver the last ``by`` offsets again, as it can after a resume; ``again`` hears of it."""
        if partition in self._readers:
            self._readers[partition].rewind(by, again)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _consume(self, most: int, until: float) -> list[Record]:
        reached = self._reach()
        self._call_back()
        records = self._take(most, reached=reached)
        if len(records) < most:
            left = until - self._broker.act()
            if left > 0:
                self._sleep(left)
            readers = dict(self._readers)
            self._call_back()
            # Taken before a callback of the same call gave the partition away, if only to get it back.
            gone = [p for p, reader in readers.items() if self._readers.get(p) is not reader]
            if gone:
                records = [record for record in records if record.source not in gone]
            records += self._take(most - len(records), reached=reached)
        return records

    def _reach(self) -> bool:
        """Whether this poll gets anything of the broker."""
        try:
            self._point("poll")
        except BrokerUnavailable:
            self._trouble = _NO_BROKER
            return False
        return True

    def _take(self, most: int, *, reached: bool) -> list[Record]:
        self._broker.act()
        if self._broker.down:
            self._broker.refused += 1
            self._trouble = _NO_BROKER
        elif reached:
            for partition, reader in self._readers.items():
                if not reader.fetch(self._broker.log(partition), _PREFETCH):
                    raise self._out_of_range(partition, reader.position)
            if self._trouble == _NO_BROKER:
                self._trouble = None
        readers = list(self._readers.values())
        self._turn += 1
        records: list[Record] = []
        for place in range(len(readers)):
            if len(records) >= most:
                break
            records += readers[(self._turn + place) % len(readers)].take(most - len(records))
        if records and self._trouble == _TOO_LATE:
            self._trouble = None
        return records

    def _out_of_range(self, partition: TopicPartition, offset: int) -> FatalError:
        return FatalError(
            f"{partition} was to be read from offset {offset}, which is not there: its first record is now "
            f"{self._broker.log(partition).start}. Records were deleted before they were read, or the topic was made "
            "anew. Commit an offset for the group explicitly to accept the loss",
            Fatal.OFFSET_GONE,
        )

    def _call_back(self) -> None:
        """Make the callbacks that are due."""
        self._broker.act()
        if self._membership.exceeded:
            self._membership.exceeded = False
            self._trouble = _TOO_LATE
        while (task := self._membership.next_task()) is not None:
            self._membership.begin(task)
            self._run(task)
            self._membership.finish(task)

    def _run(self, task: Task) -> None:
        if task.change is Change.ASSIGN:
            self._assign(task.partitions)
            return
        # An assignment that was not taken was not told.
        ours = [partition for partition in task.partitions if partition in self._readers]
        if not ours:
            return
        if task.change is Change.LOST:
            self._assignments.lost(ours)
            self._forget(ours)
            return
        self._metadata = self._identity()
        self._point("revoke")
        self._assignments.revoked(ours)
        self._forget(ours)
        self._point("revoke")

    def _assign(self, partitions: Sequence[TopicPartition]) -> None:
        starts = self._starts.read(self._membership, partitions) if partitions else {}
        if starts is None:
            return
        for partition, start in starts.items():
            self._readers[partition] = Reader(start.offset)
        self.pause(self._wanted_paused)
        self._metadata = self._identity()
        self._assignments.assigned(starts)

    def _identity(self) -> GroupMetadata:
        return self._membership.metadata(self._commits.departures)

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        self._commits.departures += 1
        for partition in partitions:
            self._readers.pop(partition, None)
