"""Commits without a transaction that other threads ask of the one that polls."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from streamproc.kafka.errors import CLOSED, OVERTAKEN, STALE, TIMED_OUT, passes
from streamproc.kafka.outbox import Deadline
from streamproc.kafka.positions import to_offsets, to_partitions, to_positions
from streamproc.records.record import CommitOffset, TopicPartition

_LOOK_S = 0.2
"""How long one look at what is committed may take: whoever serves has a budget of its own to keep."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A commit that is asked for, or on its way."""

    offsets: tuple[CommitOffset, ...]
    departures: int
    """As it was when the commit was begun, before it was asked what is still owned."""
    answer: Future[None]

    def settle(self, error: KafkaError | None) -> None:
        """Answer whoever waits."""
        if error is None:
            self.answer.set_result(None)
        else:
            self.answer.set_exception(KafkaException(error))


def _overtaken() -> KafkaError:
    return KafkaError(OVERTAKEN, "partitions went away after this commit was begun")


def _closed() -> KafkaError:
    return KafkaError(CLOSED, "the source was closed")


class CommitRequests:
    """One is on its way at a time, and nobody waits for it on the polling thread. Only ``ask`` is safe from any.

    The client answers by a callback, while it is polled. Where it is not, in a revoke or without room, it would keep
    the answer to itself: ``look`` then reads what the group has committed, which comes after the commit on the same
    connection.

    A commit that was given up, here or by whoever asked, is not called back. While its coordinator is away the client
    keeps it, for a session timeout at most, and sends it under the generation of that later moment: its offsets may
    then be older than what is committed. The departures are compared when it is handed to the client, not when that
    sends it. In practice the client finishes no assignment while a commit is outstanding (rdkafka_assignment.c): it
    neither gives partitions back nor joins anew before the commit has ended. Nothing documents that it stays so.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float]) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._waiting: deque[_Request] = deque()
        self._sent: _Request | None = None
        self._unanswered = 0
        self._deadline = Deadline(timeout_s, clock)
        self._closed = False

    @property
    def unanswered(self) -> bool:
        """Whether the client still waits for a broker, be it for a commit that was given up."""
        return self._unanswered > 0

    def ask(self, offsets: Sequence[CommitOffset], departures: int) -> Future[None]:
        """Have these committed; the answer is None or KafkaException.

        After a time-out it may have happened: at least once, that is a repeat.
        """
        request = _Request(tuple(offsets), departures, Future())
        self._waiting.append(request)
        if self._closed:
            self._refuse()
        return request.answer

    def make(self, consumer: Consumer, offsets: Sequence[CommitOffset], begun: int, departures: int) -> None:
        """Commit at once, for as long as it takes: for whoever polls and has nothing else to do. Raises KafkaException.

        ``begun`` are the departures when the commit was begun.
        """
        if self._closed or begun != departures:
            raise KafkaException(_closed() if self._closed else _overtaken())
        for position in consumer.commit(offsets=to_positions(offsets), asynchronous=False):
            if position.error is not None:
                raise KafkaException(position.error)

    def send(self, consumer: Consumer, departures: int) -> None:
        """Send the next one, unless one is on its way. Never blocks."""
        if self._sent is not None and not self._deadline.left():
            self._end(KafkaError(TIMED_OUT, f"a commit had no answer in {self._timeout_s:g} s, it may have happened"))
        while self._waiting and self._sent is None:
            request = self._waiting.popleft()
            if request.departures != departures:
                request.settle(_overtaken())
                continue
            self._sent = request
            self._deadline = Deadline(self._timeout_s, self._clock)
            try:
                consumer.commit(offsets=to_positions(request.offsets), asynchronous=True)
            except KafkaException as raised:
                self._end(raised.args[0])
            else:
                self._unanswered += 1

    def answered(self, error: KafkaError | None, positions: list[confluent_kafka.TopicPartition]) -> None:
        """Take the client's answer. One for other offsets than those on their way is that of a commit given up.

        One for the same offsets is true of them, whichever of two commits it is of.
        """
        self._unanswered -= 1
        if self._sent is not None and set(self._sent.offsets) == set(to_offsets(positions)):
            self._end(error or next((position.error for position in positions if position.error is not None), None))

    def look(self, consumer: Consumer) -> None:
        """See whether what is on its way has arrived, in a fraction of a second.

        A refusal by the group is seen as well, if it also refuses to tell us; any other one waits for the callback.
        """
        if self._sent is None:
            return
        wanted = [TopicPartition(offset.topic, offset.partition) for offset in self._sent.offsets]
        try:
            found = consumer.committed(to_partitions(wanted), timeout=_LOOK_S)
        except KafkaException as raised:
            if not passes(raised) and raised.args[0].code() not in STALE:
                self._end(raised.args[0])
            return
        if set(self._sent.offsets) == set(to_offsets(found)):
            self._end(None)

    def close(self) -> None:
        """Refuse all, also later ones: nobody polls any more, and whoever waits would wait for ever."""
        self._closed = True
        if self._sent is not None:
            self._end(_closed())
        self._refuse()

    def _end(self, error: KafkaError | None) -> None:
        request, self._sent = self._sent, None
        if request is not None:
            request.settle(error)

    def _refuse(self) -> None:
        while True:
            try:
                request = self._waiting.popleft()
            except IndexError:
                return
            request.settle(_closed())
