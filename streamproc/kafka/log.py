"""Stretches of topics, read to their end and no further: committed records only, without a group."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import confluent_kafka
from confluent_kafka import Consumer, IsolationLevel, KafkaException, Message
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so to mypy

from streamproc.errors import StreamprocError
from streamproc.kafka.config import build, client_config
from streamproc.kafka.errors import END_OF_PARTITION, OUT_OF_RANGE
from streamproc.kafka.lookup import EARLIEST, LATEST, Lookup
from streamproc.kafka.membership import Membership
from streamproc.kafka.messages import origin_of
from streamproc.kafka.positions import to_offsets, to_partitions
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings

T = TypeVar("T")

_MOST_RECORDS = 10_000
_STEP_S = 0.05
"""How long the client gathers when less than so many are there."""
_WAIT_S = 0.05
_CALL_S = 10.0
_GLANCE_RECORDS = 500
_GLANCE_STEP_S = 0.005
_GLANCE_BYTES = 256 * 1024
"""Of one partition: a thousand rows of ours or more."""
_PREFETCH_KIB = 64 * 1024
"""What the client may hold: the bound of a reader's memory, however long the stretches."""
_FETCH_BACKOFF_MS = 10
"""How soon a full prefetch is looked at again; librdkafka's second would set the pace of a reader that is fast."""
_FETCH_WAIT_MS = 5
"""How long a broker waits for records to come: what a reader of the past wants is there, or never will be. Other
requests wait behind a fetch."""


class GoneError(StreamprocError):
    """Raised when retention took records while they were read: a later beginning may still be there."""


class Log:
    """Topics as they lie there. Commits nothing and joins no group; used by one thread.

    ``group`` is whose committed offsets are asked for. ``glance`` is for whoever looks at a few records in many places:
    little is fetched ahead of them. Every method raises DependencyDownError.
    """

    def __init__(self, settings: Settings, group: str, *, glance: bool = False) -> None:
        self._most, self._step_s = (_GLANCE_RECORDS, _GLANCE_STEP_S) if glance else (_MOST_RECORDS, _STEP_S)
        config = client_config(settings)
        config |= {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",  # a record that is gone would else pass for one that never was
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": _PREFETCH_KIB,
            "fetch.queue.backoff.ms": _FETCH_BACKOFF_MS,
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
        }
        if glance:
            config |= {"fetch.message.max.bytes": _GLANCE_BYTES, "queued.max.messages.kbytes": _GLANCE_BYTES // 1024}
        self._closed = False
        self._consumer = build(Consumer, config)
        self._admin = build(AdminClient, client_config(settings))
        self._lookup = Lookup(self._consumer, settings.kafka.bootstrap_servers)

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        """Of one topic, in order. Raises UsageError when it is not there."""
        with self._answered():
            return self._lookup.partitions(topic)

    def bounds(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, range]:
        """Per partition, from the first offset that is kept to behind the last that is committed."""
        asked = list(partitions)
        with self._answered():
            first, end = self._lookup.offsets(asked, EARLIEST), self._lookup.offsets(asked, LATEST)
        return {partition: range(first[partition], end[partition]) for partition in asked}

    def decided(self, partitions: Iterable[TopicPartition], patience_s: float) -> Mapping[TopicPartition, range]:
        """The same, when every transaction that is open now is committed or aborted, or after ``patience_s``.

        A commit is answered before each of its partitions shows it, so what its offsets promise may not be there yet.
        """
        asked = list(partitions)
        self.settled(asked, patience_s)
        return self.bounds(asked)

    def settled(self, partitions: Iterable[TopicPartition], patience_s: float) -> bool:
        """Wait until every transaction that is open now is committed or aborted; False for one that outlasts that."""
        asked = list(partitions)
        with self._answered():
            ends = self._written(asked)
        deadline = time.monotonic() + patience_s
        while True:
            bounds = self.bounds(asked)
            if all(bounds[p].stop >= ends[p] for p in asked):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_WAIT_S)

    def at(self, partitions: Iterable[TopicPartition], at_ms: int) -> Mapping[TopicPartition, int]:
        """The first offset whose time is ``at_ms`` (ms since the epoch) or later; the end where there is none."""
        asked = list(partitions)
        with self._answered():
            found = self._lookup.offsets(asked, at_ms)
            ends = self._lookup.offsets(asked, LATEST)
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The next offset that the group has to do, for partitions of which it has done any."""
        with self._answered():
            found = self._consumer.committed(to_partitions(partitions), timeout=_CALL_S)
            for position in found:
                if position.error is not None:
                    raise KafkaException(position.error)
        return {TopicPartition(p.topic, p.partition): p.offset for p in to_offsets(found) if p.offset >= 0}

    def membership(self) -> Membership:
        """Who writes a transaction that moves no offset: nobody's member."""
        return Membership(self._consumer.consumer_group_metadata(), 0)

    def read(
        self, stretches: Mapping[TopicPartition, range], take: "Callable[[Message[bytes, bytes]], T]"
    ) -> Iterator[list[T]]:
        """What ``take`` makes of each record of some stretches, those of one partition in order.

        Ends when each stretch is read; one that reaches beyond the end is read to the end. Raises GoneError.
        """
        left = {partition: stretch.stop for partition, stretch in stretches.items() if stretch}
        self._consumer.assign([confluent_kafka.TopicPartition(p.topic, p.partition, stretches[p].start) for p in left])
        try:
            while left:
                yield self._some(left, take)
        finally:
            if not self._closed:  # who stops reading may close first, and this runs when it is collected
                self._consumer.unassign()

    def first(
        self, stretches: Mapping[TopicPartition, range], take: "Callable[[Message[bytes, bytes]], T]"
    ) -> T | None:
        """What ``take`` makes of a record that comes first; None when there is none. Raises GoneError."""
        return next((one for some in self.read(stretches, take) for one in some), None)

    def close(self) -> None:
        """Drop the connection."""
        self._closed = True
        self._consumer.close()

    def _written(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Behind the last record of each partition, committed or not."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's own
        asked = dict.fromkeys(to_partitions(partitions), latest)
        if not asked:
            return {}
        level = IsolationLevel.READ_UNCOMMITTED
        answers = self._admin.list_offsets(asked, isolation_level=level, request_timeout=_CALL_S)
        return {TopicPartition(p.topic, p.partition): answer.result(_CALL_S).offset for p, answer in answers.items()}

    def _some(self, left: dict[TopicPartition, int], take: "Callable[[Message[bytes, bytes]], T]") -> list[T]:
        """Records that arrived in a moment; takes partitions out of ``left`` that are done."""
        taken = []
        for message in self._consumer.consume(self._most, self._step_s):
            error = message.error()
            if error is not None:
                self._ended(message, left)
                continue
            place = (message.topic(), message.partition())
            stop = left.get(place)  # type: ignore[call-overload]  # equal to our own type, and cheaper by half
            if stop is None:
                continue
            offset = message.offset() or 0
            if offset < stop:
                taken.append(take(message))
            if offset + 1 >= stop:
                self._finish(origin_of(message), left)
        return taken

    def _ended(self, message: "Message[bytes, bytes]", left: dict[TopicPartition, int]) -> None:
        error, partition = message.error(), origin_of(message)
        if error is None:
            return
        if error.code() == END_OF_PARTITION:
            if partition in left:
                self._finish(partition, left)
        elif error.code() in OUT_OF_RANGE:
            raise GoneError(f"{partition}: retention took records while they were read ({error.str()}). Begin later")
        else:
            self._lookup.judge(error)

    def _finish(self, partition: TopicPartition, left: dict[TopicPartition, int]) -> None:
        del left[partition]
        self._consumer.incremental_unassign(to_partitions([partition]))

    @contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as raised:
            raise self._lookup.down(raised) from raised
