"""The Faust app: it joins the group, brings rows to a member, and lets the member tell.

Of Faust this uses the group, the delivery of rows and the loop; no tables, no windows, no repartitioning, one row at a
time (docs/decisions/0013-analytics.md says why). What is folded never depends on the offsets that it commits: whoever
is given a partition reads it from the beginning.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import faust
from aiokafka.errors import KafkaError
from faust.types import TP, EventT, StreamT

from streamproc.analytics.agreement import SESSION_S, agreement, protocol
from streamproc.analytics.credentials import credentials
from streamproc.analytics.member import Member, Starts
from streamproc.analytics.partial import encode_agreement
from streamproc.analytics.transport import CommittedTransport, assignor
from streamproc.errors import DependencyDownError, FatalError
from streamproc.patience import AGAIN_S, StoppedError, tell_back, tell_waiting
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings
from streamproc.telemetry.log import get_log

METADATA_S = 10
"""How long topics are believed to be as they were: a group that once saw none is blind for so long (else 5 minutes)."""
T = TypeVar("T")

_log = get_log(__name__)
WRITER = 0
"""Whoever owns this partition writes trends and alerts."""


class Telling(Protocol):
    """What sends records to the others."""

    def send(self, record: OutputRecord, name: str, /) -> None:
        """Queue one. Raises DependencyDownError."""
        ...

    def flush(self) -> None:
        """Return when all have arrived. Raises DependencyDownError."""
        ...


class Past(Protocol):
    """What reads the topics to their end."""

    def catch_up(self, member: Member) -> int:
        """Give a member what it has not read; how many rows that was.

        Raises DependencyDownError, and StoppedError once it is told to stop.
        """
        ...


class Feed:
    """Joins the app to its member. Lives on the loop; whoever changes the member closes ``gate`` meanwhile."""

    def __init__(
        self, settings: Settings, member: Member, history: Past, publisher: Telling, starts: Callable[[], Starts]
    ) -> None:
        self._settings = settings
        self._member = member
        self._history = history
        self._publisher = publisher
        self._starts = starts
        self._agreement = OutputRecord(settings.topics.partials, *encode_agreement(agreement(settings)))
        self._turn = asyncio.Lock()
        self._assignments = 0
        self.mandate: int | None = None
        """The number of the assignment by which this process owns the first partition; None where it does not, or
        where that is being decided. May be read on any thread."""
        self._reading: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()
        self._read_once = False
        """Whether what was assigned first is read."""
        self._waiting: set[object] = set()
        """What cannot go on without a server that is away."""
        self.failure: BaseException | None = None
        """Why what is assigned cannot be read. Faust would tell it with tracebacks, as it tells what crashes."""
        self.refused: KafkaError | None = None
        """Why the group does not take this process."""
        self.gate = asyncio.Event()
        self.rows = 0
        """Rows that were taken, with those of the catching up; not those that Faust brings of it again."""
        self.told_at = time.monotonic()
        """When the others had last heard all, by ``time.monotonic``; at first, when it began."""

    @property
    def current(self) -> bool:
        """Whether what was assigned first is read, and nothing that is read waits for a server."""
        return self._read_once and not self._waiting

    @property
    def taken(self) -> bool:
        """Whether the group took this process."""
        return self._assignments > 0

    @property
    def partitions(self) -> int:
        """How many are owned."""
        return len(self._member.partitions)

    def begin(self, reading: Coroutine[Any, Any, None]) -> None:
        """Let it be read beside the loop: a group does not wait for a member that is in a rebalance.

        What it raises is ``failure``.
        """
        task = asyncio.ensure_future(reading)
        self._reading.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._reading.discard(task)
        if not task.cancelled() and not isinstance(task.exception(), StoppedError):
            self.failure = self.failure or task.exception()

    def refuse(self, error: KafkaError) -> None:
        """Note that the group does not take this process. May be called on any thread."""
        self.refused = error

    def end(self) -> None:
        """Wait for no server any more."""
        self._ending.set()

    async def close(self) -> None:
        """Return when nothing is read any more; call ``end`` first, and stop the history."""
        await asyncio.gather(*self._reading, return_exceptions=True)

    async def assigned(self, assigned: Iterable[TP]) -> None:
        """Own what is assigned. Raises FatalError where results and segments went to different members."""
        topics = self._settings.topics
        results = {tp.partition for tp in assigned if tp.topic == topics.results}
        segments = {tp.partition for tp in assigned if tp.topic == topics.segments}
        if results != segments:
            raise FatalError(
                f"assigned partitions {sorted(results)} of the results, but {sorted(segments)} of segments"
            )
        self.gate.clear()
        self._assignments += 1
        number = self._assignments
        self.mandate = None
        async with self._turn:
            if number != self._assignments:
                return  # another assignment came while an earlier one was read
            self._member.own(segments, await asyncio.to_thread(self._starts))
            if number == self._assignments and WRITER in segments:
                self.mandate = number
            rows = await self._insist(lambda: asyncio.to_thread(self._history.catch_up, self._member))
            self._member.tell_all()
        self.rows += rows
        _log.info("partitions read", count=len(segments), records=rows)
        if number == self._assignments:
            self._read_once = True
            self.gate.set()

    async def announce(self) -> None:
        """Tell what the members of the group agree on: one that is refused says by it what differs."""
        await self._insist(lambda: asyncio.to_thread(self._send, [self._agreement]))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call until the servers that it needs are there. Raises StoppedError."""
        mark = object()
        away: DependencyDownError | None = None
        try:
            while True:
                try:
                    answer = await call()
                except DependencyDownError as error:
                    away = error
                    self._waiting.add(mark)
                    tell_waiting(error)
                else:
                    if away is not None:
                        tell_back(away)
                    return answer
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), AGAIN_S)
                    raise StoppedError("stopped while it waited for a server")
        finally:
            self._waiting.discard(mark)

    async def follow(self, stream: StreamT[bytes]) -> None:
        """Take each row of a stream."""
        async for event in stream.events():
            await self.take(event)

    async def take(self, event: EventT[bytes]) -> None:
        """Take a row, as soon as what came before is read."""
        message = event.message
        at_ms = round((message.timestamp or 0) * 1000)  # of a whole number of ms Faust made seconds

        async def one() -> None:
            await self.gate.wait()
            place = message.topic, message.partition, message.offset
            new = self._member.lacks(*place)
            self._member.take(*place, at_ms, message.value)
            self.rows += new

        await self._insist(one)

    async def tell(self) -> None:
        """Tell the others what changed; what may not have arrived is told again."""
        await self.gate.wait()
        async with self._turn:
            records = self._member.records()
            try:
                await asyncio.to_thread(self._send, records)
            except DependencyDownError as error:
                tell_waiting(error)
                self._member.tell_all()
            else:
                self.told_at = time.monotonic()

    def _send(self, records: Iterable[OutputRecord]) -> None:
        for record in records:
            self._publisher.send(record, "a partial")
        self._publisher.flush()


def build_app(settings: Settings, feed: Feed, folder: Path) -> faust.App:
    """The app, not started. Make it on the loop that runs it; Faust makes folders in ``folder``, and keeps nothing."""
    kafka = settings.kafka
    app = faust.App(
        settings.analytics.group,
        broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=credentials(kafka),
        PartitionAssignor=assignor(protocol(settings)),
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        store="memory://",
        topic_replication_factor=settings.topics.replication_factor,
        broker_session_timeout=SESSION_S,
        broker_max_poll_interval=kafka.max_poll_interval_s,
        consumer_metadata_max_age_ms=METADATA_S * 1000,
        stream_wait_empty=False,  # a row may wait long for its turn: neither a rebalance nor the end waits for it
        topic_disable_leader=True,  # Faust would make a topic for it
        topic_allow_declare=False,
        datadir=folder,
        web_enabled=False,
        autodiscover=False,
        loghandlers=[],
    )
    app.transport = CommittedTransport(app, feed.refuse)
    rows = app.topic(
        settings.topics.results,
        settings.topics.segments,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        internal=False,
    )

    @app.agent(rows, name="rows", concurrency=1)
    async def fold(stream: StreamT[bytes]) -> None:
        try:
            with suppress(StoppedError):
                await feed.follow(stream)
        except Exception as error:  # Faust itself would take a row that raises for done, and go on
            await app.crash(error)
            raise

    app.timer(settings.analytics.emit_s, name="tell")(feed.tell)

    def assigned(_app: faust.App, assigned: set[TP], **_: object) -> None:
        feed.begin(feed.announce())
        feed.begin(feed.assigned(frozenset(assigned)))

    handler: Any = assigned  # Faust types its handlers so that none with an argument of its own fits
    app.on_partitions_assigned.connect(handler)
    return app
