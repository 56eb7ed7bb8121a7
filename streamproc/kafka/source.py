"""The input topics, as one member of the worker's group."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Message

from streamproc.chain import START_EXTRA_S
from streamproc.errors import Fatal, FatalError
from streamproc.kafka.assignments import Assignments
from streamproc.kafka.commit_requests import CommitRequests
from streamproc.kafka.config import build, consumer_config
from streamproc.kafka.errors import END_OF_PARTITION, OUT_OF_RANGE, describe, is_fatal, reported
from streamproc.kafka.membership import Identity, Membership
from streamproc.kafka.messages import origin_of, to_record
from streamproc.kafka.positions import to_names, to_partitions, to_positions
from streamproc.kafka.starts import ExpelledError, out_of_range, read_starts
from streamproc.kafka.trouble import Trouble
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.settings import Settings
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_GIVE_BACK_S = 10.0
"""While no broker answers, nothing comes back."""
_TURN_S = 0.05


class KafkaSource:
    """Records of ``topics``. Only the polling thread calls it, but for ``group_metadata`` and ``commit``.

    What ends the process is raised as FatalError, or DependencyDownError for what passes by itself.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        assignments: Assignments,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._assignments = assignments
        self._clock = clock
        self._start_budget_s = settings.kafka.transaction_timeout_s + START_EXTRA_S
        self._owned: set[TopicPartition] = set()
        self._at_end: dict[TopicPartition, int] = {}
        self._wanted_paused: frozenset[TopicPartition] = frozenset()
        self._paused: set[TopicPartition] = set()
        self._left: set[TopicPartition] = set()
        self._left_until = 0.0
        self._told = 0
        """Callbacks so far."""
        self._closing = False
        self._closed = False
        self._polling_thread: int | None = None
        self._trouble = Trouble()
        self._commits = CommitRequests(settings.kafka.transaction_timeout_s, clock)
        config = consumer_config(settings)
        config |= {"error_cb": self._trouble.tell, "on_commit": self._commits.answered}
        self._consumer = build(Consumer, config)
        self._identity = Identity(self._consumer)
        with reported("the topics could not be subscribed to"):
            self._consumer.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )

    @property
    def trouble(self) -> str | None:
        """What keeps records from coming just now, as far as the client says; None when nothing does."""
        return self._trouble.detail

    @property
    def at_end(self) -> frozenset[TopicPartition]:
        """Owned partitions whose last record was taken: idle is when these are all that is owned.

        Lag would not tell: control records of transactions keep it above 0.
        """
        return frozenset(self._at_end)

    @property
    def drained(self) -> Mapping[TopicPartition, int]:
        """Where those of ``at_end`` ended when the client found it out, marks of transactions included.

        Safe from any thread.
        """
        return self._at_end.copy()

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """The partitions that are ours."""
        return frozenset(self._owned)

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Up to ``most`` records, whatever arrived within ``timeout_s``. Runs the callbacks.

        Raises FatalError when the group or the offsets are beyond repair, naming what was lost.
        """
        self._polling_thread = threading.get_ident()
        self._learn()
        self._commits.send(self._consumer, self._identity.departures)
        with reported("no records could be taken"):
            messages = self._consumer.consume(most, timeout_s)
        self._learn()
        self._trouble.check()
        if self._left and self._clock() > self._left_until:
            message = f"nobody reads {', '.join(map(str, sorted(self._left)))}: not taken, and not taken back"
            raise FatalError(message, Fatal.START_UNKNOWN)
        records = [record for message in messages if (record := self._take(message)) is not None]
        self._trouble.look_up(self._consumer, some_came=bool(records), timeout_s=timeout_s)
        return records

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Make exactly this set paused, of those owned; re-applied after each assignment."""
        self._wanted_paused = partitions
        wanted = partitions & self._owned
        with reported("partitions could not be paused or resumed"):
            # Only what we paused is resumed: resuming a partition that runs can rewind it (librdkafka issue 4637).
            if resume := self._paused - wanted:
                self._consumer.resume(to_partitions(sorted(resume)))
            if pause := wanted - self._paused:
                self._consumer.pause(to_partitions(sorted(pause)))
        self._paused = set(wanted)

    def group_metadata(self) -> Membership:
        """The member's identity for a transaction, as of the last ``poll`` or ``serve``. Safe from any thread."""
        return self._identity.now

    def commit(self, offsets: Sequence[CommitOffset], membership: Membership) -> None:
        """Commit without a transaction, for at-least-once delivery. Safe from any thread. Raises KafkaException.

        The polling thread sends it, at its next ``poll`` or ``serve``: the client lets no other thread in beside it.
        A time-out is raised when there is no answer in the time of a transaction; then it may have happened. Asked on
        the polling thread itself, which then has nothing else to do, it blocks until the client knows.
        """
        if self._polling_thread in {None, threading.get_ident()}:
            self._commits.make(self._consumer, offsets, membership.departures, self._identity.departures)
        else:
            answer = self._commits.ask(offsets, membership.departures)
            self._assignments.asked()
            answer.result()

    def serve(self) -> None:
        """Do what other threads asked of the consumer; for the polling thread, while it waits or is in a callback.

        The group's generation goes on without a poll. Whoever is revoked, or has no room, could commit no more.
        Blocks for a fraction of a second at most, whether or not a broker answers.
        """
        self._learn()
        self._commits.send(self._consumer, self._identity.departures)
        self._commits.look(self._consumer)

    def close(self) -> None:
        """Leave the group; revokes what is owned, takes nothing more. Commits still asked for are refused."""
        if self._closed:
            return
        self._closing = True
        try:
            self._give_back()
        finally:
            self._closed = True
            self._commits.close()
            self._free()

    def _learn(self) -> None:
        if not self._closing:  # while it leaves its group the client tells no identity, or never answers
            self._identity.learn(self._consumer)

    def _give_back(self) -> None:
        """Leave the group while the client still serves calls.

        An assignment that is on its way when a client closes is taken back from it in a callback whose answer the
        client may wait for and never give itself. After this there is none.
        """
        with reported("the group could not be left"):
            try:
                self._consumer.unsubscribe()
            except KafkaException as raised:
                if is_fatal(raised.args[0]):
                    return  # beyond repair, it serves nothing; whoever closes knows already
                raise
            until = self._clock() + _GIVE_BACK_S
            told = -1
            while (told != self._told or self._owned) and self._clock() < until:
                told = self._told
                self._consumer.consume(1, _TURN_S)

    def _free(self) -> None:
        """Close the client, which was given back.

        It waits for answers to its commits, 45 s and longer (measured), as nobody else does: then it is closed aside.
        """
        if self._commits.unanswered:
            threading.Thread(target=self._consumer.close, name="close-consumer", daemon=True).start()
            return
        with reported("the consumer could not be closed"):
            self._consumer.close()

    def _take(self, message: "Message[bytes, bytes]") -> Record | None:
        error = message.error()
        origin = origin_of(message)
        if error is None:
            self._at_end.pop(origin, None)
            # Taken before a callback of the same call gave the partition away.
            return to_record(message, origin) if origin in self._owned else None
        if error.code() == END_OF_PARTITION:
            if origin in self._owned:
                self._at_end[origin] = message.offset() or 0
        elif error.code() in OUT_OF_RANGE:
            raise out_of_range(self._consumer, origin, message.offset(), error)
        elif is_fatal(error):
            raise FatalError(f"the consumer cannot go on: {describe(error)}", Fatal.REFUSED)
        else:
            self._trouble.note(error)
        return None

    def _on_assign(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._told += 1
        if self._closing:
            # They go back at once. To ask where they start could outlast whoever waits for the end.
            self._leave(consumer, partitions, "the source closes")
            return
        try:
            starts = read_starts(consumer, partitions, self._start_budget_s) if partitions else ()
        except ExpelledError as error:
            self._leave(consumer, partitions, str(error))
            return
        consumer.incremental_assign(to_positions(starts))
        by_partition = {TopicPartition(start.topic, start.partition): start for start in starts}
        self._owned |= by_partition.keys()
        self.pause(self._wanted_paused)
        self._identity.assigned(consumer)
        self._assignments.assigned(by_partition)

    def _leave(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition], why: str) -> None:
        """Take none of an assignment, whose partitions are then taken back from us."""
        consumer.incremental_assign([])
        self._left |= set(to_names(partitions))
        self._left_until = self._clock() + self._start_budget_s
        _log.warning("partitions not taken", count=len(partitions), detail=why)

    def _on_revoke(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        # A classic rebalance has a new generation by now, under which what is in flight can still be committed.
        self._learn()
        self._part_with(consumer, partitions, self._assignments.revoked)

    def _on_lost(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._part_with(consumer, partitions, self._assignments.lost)

    def _part_with(
        self,
        consumer: Consumer,
        partitions: list[confluent_kafka.TopicPartition],
        tell: Callable[[Sequence[TopicPartition]], None],
    ) -> None:
        self._told += 1
        gone = to_names(partitions)
        # An assignment that failed, or came too late, was never told.
        ours = [name for name in gone if name in self._owned]
        try:
            if ours:
                tell(ours)
        finally:
            # Just what was assigned, and always: the client waits for a call that succeeds, in `close` for ever.
            consumer.incremental_unassign(to_partitions(ours))
            self._identity.departed()
            for held in (self._owned, self._paused, self._left):
                held.difference_update(gone)
            for name in gone:
                self._at_end.pop(name, None)
