"""The input topics, as one member of the worker's group."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import confluent_kafka
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from streamproc.chain import START_EXTRA_S
from streamproc.errors import Fatal, FatalError
from streamproc.kafka.config import build, consumer_config
from streamproc.kafka.errors import (
    CLOSED,
    END_OF_PARTITION,
    OUT_OF_RANGE,
    OVERTAKEN,
    Decision,
    decide,
    describe,
    is_fatal,
)
from streamproc.kafka.membership import Membership
from streamproc.kafka.messages import origin_of, to_record
from streamproc.kafka.positions import to_names, to_partitions, to_positions
from streamproc.kafka.starts import ExpelledError, earliest, read_starts
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.settings import Settings

_log = structlog.stdlib.get_logger(__name__)
_PROBE_S = 0.5
_GIVE_BACK_S = 10.0
"""While no broker answers, nothing comes back."""
_TURN_S = 0.05


class Assignments(Protocol):
    """Who is told what the source owns, on the polling thread."""

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """These partitions are ours from these offsets on."""
        ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """These go to somebody else once this returns."""
        ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """These are somebody else's already."""
        ...


@dataclass(frozen=True, slots=True)
class _Request:
    """A commit that another thread asks for."""

    offsets: tuple[CommitOffset, ...]
    departures: int
    """As it was when the commit was begun, before it was asked what is still owned."""
    answer: Future[None]


class KafkaSource:
    """Records of ``topics``. Only the polling thread calls it, but for ``group_metadata`` and ``commit``."""

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
        self._at_end: set[TopicPartition] = set()
        self._wanted_paused: frozenset[TopicPartition] = frozenset()
        self._paused: set[TopicPartition] = set()
        self._trouble: KafkaError | None = None
        self._fatal: KafkaError | None = None
        config = consumer_config(settings)
        config["error_cb"] = self._on_error
        self._consumer = build(Consumer, config)
        self._polling_thread: int | None = None
        self._member: str | None = None
        self._left: set[TopicPartition] = set()
        self._left_until = 0.0
        self._told = 0
        """Callbacks so far."""
        self._closing = False
        self._closed = False
        self._commits: deque[_Request] = deque()
        self._departures = 0
        self._membership = Membership(self._consumer.consumer_group_metadata(), 0)
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    @property
    def trouble(self) -> str | None:
        """What keeps records from coming just now, as far as the client says; None when nothing does."""
        return None if self._trouble is None else describe(self._trouble)

    @property
    def at_end(self) -> frozenset[TopicPartition]:
        """Owned partitions whose last record was taken: idle is when these are all that is owned.

        Lag would not tell: control records of transactions keep it above 0.
        """
        return frozenset(self._at_end)

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """The partitions that are ours."""
        return frozenset(self._owned)

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Up to ``most`` records, whatever arrived within ``timeout_s``. Runs the assignment callbacks.

        Raises FatalError when the group or the offsets are beyond repair, naming what was lost.
        """
        self._polling_thread = threading.get_ident()
        self.serve()
        messages = self._consumer.consume(most, timeout_s)
        self._identify(self._consumer)
        if self._fatal is not None:
            raise FatalError(f"the consumer cannot go on: {describe(self._fatal)}", Fatal.REFUSED)
        if self._left and self._clock() > self._left_until:
            message = f"nobody reads {', '.join(map(str, sorted(self._left)))}: not taken, and not taken back"
            raise FatalError(message, Fatal.START_UNKNOWN)
        records = [record for message in messages if (record := self._take(message)) is not None]
        if self._trouble is not None:
            self._look_up_from_trouble(some_came=bool(records), timeout_s=timeout_s)
        return records

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Make exactly this set paused, of those owned; re-applied after each assignment."""
        self._wanted_paused = partitions
        wanted = partitions & self._owned
        # Only what we paused is resumed: resuming a partition that runs can rewind it (librdkafka issue 4637).
        if resume := self._paused - wanted:
            self._consumer.resume(to_partitions(sorted(resume)))
        if pause := wanted - self._paused:
            self._consumer.pause(to_partitions(sorted(pause)))
        self._paused = set(wanted)

    def group_metadata(self) -> Membership:
        """The member's identity for a transaction, as of the last ``poll`` or ``serve``. Safe from any thread.

        The client lets one thread at a time call a consumer, and the others wait without a turn: asked from the
        commit thread beside a thread that polls, it had not answered after 100 s. An identity that a rebalance has
        overtaken since is refused by the broker, and the transaction tried again.
        """
        return self._membership

    def commit(self, offsets: Sequence[CommitOffset], membership: Membership) -> None:
        """Commit without a transaction, for at-least-once delivery. Safe from any thread. Raises KafkaException.

        The polling thread does it, at its next ``poll`` or ``serve``: the client lets no other thread in beside it.
        """
        request = _Request(tuple(offsets), membership.departures, Future())
        self._commits.append(request)
        if self._closed:
            self._refuse()
        elif self._polling_thread in {None, threading.get_ident()}:
            self.serve()
        request.answer.result()

    def serve(self) -> None:
        """Do what other threads asked of the consumer; for the polling thread, while it waits or is in a callback.

        The group's generation goes on without a poll. Whoever is revoked, or has no room, could commit no more.
        """
        self._identify(self._consumer)
        while self._commits:
            request = self._commits.popleft()
            try:
                self._commit(request)
            except KafkaException as error:
                request.answer.set_exception(error)
            else:
                request.answer.set_result(None)

    def _identify(self, consumer: Consumer) -> None:
        """Learn the member's identity, unless the group gave it up and nobody was told yet.

        The client then has an empty one, and what is said to be ours is somebody else's. A transaction under an empty
        identity is not refused: the broker takes it for that of a client without a group.
        """
        if self._closing:
            return  # while it leaves its group the client tells no identity, or never answers
        metadata = consumer.consumer_group_metadata()
        if consumer.memberid() == self._member:  # asked second: what was learned before was still the member's
            self._membership = Membership(metadata, self._departures)

    def _commit(self, request: _Request) -> None:
        if request.departures != self._departures:
            raise KafkaException(KafkaError(OVERTAKEN, "partitions went away after this commit was begun"))
        committed = self._consumer.commit(offsets=to_positions(request.offsets), asynchronous=False)
        for done in committed:
            if done.error is not None:
                raise KafkaException(done.error)

    def close(self) -> None:
        """Leave the group; revokes what is owned, takes nothing more. Commits still asked for are refused."""
        if self._closed:
            return
        self._closing = True
        try:
            self._give_back()
        finally:
            try:
                self._consumer.close()
            finally:
                self._closed = True
                self._refuse()

    def _give_back(self) -> None:
        """Leave the group while the client still serves calls.

        An assignment that is on its way when a client closes is taken back from it in a callback whose answer the
        client may wait for and never give itself. After this there is none.
        """
        try:
            self._consumer.unsubscribe()
        except KafkaException as raised:
            if not is_fatal(raised.args[0]):
                raise
            return  # beyond repair, it serves nothing; whoever closes knows already
        until = self._clock() + _GIVE_BACK_S
        told = -1
        while (told != self._told or self._owned) and self._clock() < until:
            told = self._told
            self._consumer.consume(1, _TURN_S)

    def _refuse(self) -> None:
        """Nobody polls any more: whoever waits for a commit would wait for ever."""
        while True:
            try:
                request = self._commits.popleft()
            except IndexError:
                return
            request.answer.set_exception(KafkaException(KafkaError(CLOSED, "the source was closed")))

    def _take(self, message: "Message[bytes, bytes]") -> Record | None:
        error = message.error()
        origin = origin_of(message)
        if error is None:
            self._at_end.discard(origin)
            # Taken before a callback of the same call gave the partition away.
            return to_record(message, origin) if origin in self._owned else None
        if error.code() == END_OF_PARTITION:
            if origin in self._owned:
                self._at_end.add(origin)
        elif error.code() in OUT_OF_RANGE:
            raise self._out_of_range(origin, message.offset(), error)
        elif is_fatal(error):
            raise FatalError(f"the consumer cannot go on: {describe(error)}", Fatal.REFUSED)
        else:
            self._remember(error)
        return None

    def _out_of_range(self, origin: TopicPartition, offset: int | None, error: KafkaError) -> FatalError:
        try:
            now = f"its first record is now {earliest(self._consumer, *to_partitions([origin]))}"
        except KafkaException as other:
            now = f"its first record is not known: {describe(other.args[0])}"
        return FatalError(
            f"{origin} was to be read from offset {offset}, which is not there: {now}. Records were deleted before "
            f"they were read, or the topic was made anew ({describe(error)}). Commit an offset for the group "
            "explicitly to accept the loss",
            Fatal.OFFSET_GONE,
        )

    def _on_error(self, error: KafkaError) -> None:
        if is_fatal(error):
            self._fatal = error
        else:
            self._remember(error)

    def _remember(self, error: KafkaError) -> None:
        if self._trouble is None:
            _log.warning("source in trouble", dependency="kafka", detail=describe(error))
        self._trouble = error

    def _look_up_from_trouble(self, *, some_came: bool, timeout_s: float) -> None:
        """Find out that trouble is over: the client says when brokers go away, not when they are back."""
        if not some_came:
            if self._trouble is None or decide(self._trouble) is not Decision.DOWN:
                return
            try:
                self._consumer.list_topics(timeout=min(timeout_s, _PROBE_S))
            except KafkaException:
                return
        _log.info("source out of trouble", dependency="kafka")
        self._trouble = None

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
        self._member = consumer.memberid()
        self._identify(consumer)
        self._assignments.assigned(by_partition)

    def _leave(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition], why: str) -> None:
        """Take none of an assignment, whose partitions are then taken back from us."""
        consumer.incremental_assign([])
        self._left |= set(to_names(partitions))
        self._left_until = self._clock() + self._start_budget_s
        _log.warning("partitions not taken", count=len(partitions), detail=why)

    def _on_revoke(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._told += 1
        # A classic rebalance has a new generation by now, under which what is in flight can still be committed.
        self._identify(consumer)
        ours = self._ours(partitions)
        try:
            if ours:
                self._assignments.revoked(ours)
        finally:
            self._forget(consumer, partitions, ours)

    def _on_lost(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._told += 1
        ours = self._ours(partitions)
        try:
            if ours:
                self._assignments.lost(ours)
        finally:
            self._forget(consumer, partitions, ours)

    def _ours(self, partitions: list[confluent_kafka.TopicPartition]) -> list[TopicPartition]:
        """Those that were told as assigned; an assignment that failed, or came too late, was not."""
        return [name for name in to_names(partitions) if name in self._owned]

    def _forget(
        self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition], ours: list[TopicPartition]
    ) -> None:
        # Just what was assigned, and always: the client waits for a call that succeeds, in `close` for ever.
        consumer.incremental_unassign(to_partitions(ours))
        gone = set(to_names(partitions))
        self._departures += 1
        self._owned -= gone
        self._at_end -= gone
        self._paused -= gone
        self._left -= gone
