"""The Faust app: it joins the group, brings rows to a member, and lets the member tell.

Of Faust this uses the group, the delivery of rows and the loop; no tables, no windows, no repartitioning, one row at a
time (docs/decisions/0013-analytics.md says why). What is folded never depends on the offsets that it commits: whoever
is given a partition reads it from the beginning.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import faust
from faust.auth import Credentials
from faust.types import TP, EventT, StreamT

from streamproc.analytics.member import Member, Starts
from streamproc.analytics.transport import CommittedTransport
from streamproc.errors import DependencyDownError, FatalError
from streamproc.records.record import OutputRecord
from streamproc.settings import KafkaSettings, Settings
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_AGAIN_S = 2.0
"""Between two tries to reach a server."""
_SESSION_S = 10.0
"""After such a silence a member is taken for dead."""


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
        """Give a member what it has not read; how many rows that was. Raises DependencyDownError."""
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
        self._turn = asyncio.Lock()
        self._assignments = 0
        self.gate = asyncio.Event()
        self.rows = 0
        """Rows that were taken, with those of the catching up."""

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
        async with self._turn:
            if number != self._assignments:
                return  # another assignment came while an earlier one was read
            self._member.own(segments, await asyncio.to_thread(self._starts))
            while True:
                try:
                    rows = await asyncio.to_thread(self._history.catch_up, self._member)
                except DependencyDownError as error:
                    _log.warning("waiting for a server", dependency=error.dependency, detail=error.detail)
                    await asyncio.sleep(_AGAIN_S)
                else:
                    break
            self._member.tell_all()
        self.rows += rows
        _log.info("partitions read", count=len(segments), records=rows)
        if number == self._assignments:
            self.gate.set()

    async def follow(self, stream: StreamT[bytes]) -> None:
        """Take each row of a stream."""
        async for event in stream.events():
            await self.take(event)

    async def take(self, event: EventT[bytes]) -> None:
        """Take a row, as soon as what came before is read."""
        message = event.message
        at_ms = round((message.timestamp or 0) * 1000)  # of a whole number of ms Faust made seconds
        while True:
            await self.gate.wait()
            try:
                self._member.take(message.topic, message.partition, message.offset, at_ms, message.value)
            except DependencyDownError as error:
                _log.warning("waiting for a server", dependency=error.dependency, detail=error.detail)
                await asyncio.sleep(_AGAIN_S)
            else:
                self.rows += 1
                return

    async def tell(self) -> None:
        """Tell the others what changed; what may not have arrived is told again."""
        await self.gate.wait()
        async with self._turn:
            records = self._member.records()
            try:
                await asyncio.to_thread(self._send, records)
            except DependencyDownError as error:
                _log.warning("waiting for a server", dependency=error.dependency, detail=error.detail)
                self._member.tell_all()

    def _send(self, records: Iterable[OutputRecord]) -> None:
        for record in records:
            self._publisher.send(record, "a partial")
        self._publisher.flush()


def build_app(settings: Settings, feed: Feed) -> faust.App:
    """The app, not started. Make it on the loop that runs it."""
    kafka = settings.kafka
    app = faust.App(
        settings.analytics.group,
        broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(kafka),
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        store="memory://",
        topic_replication_factor=settings.topics.replication_factor,
        broker_session_timeout=_SESSION_S,
        broker_max_poll_interval=kafka.max_poll_interval_s,
        web_enabled=False,
        autodiscover=False,
        loghandlers=[],
    )
    app.transport = CommittedTransport(app.conf.broker_consumer, app)
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
        await _or_crash(app, feed.follow(stream))  # Faust itself would take a row that raises for done, and go on

    app.timer(settings.analytics.emit_s, name="tell")(feed.tell)

    reading: set[asyncio.Task[None]] = set()

    def assigned(_app: faust.App, assigned: set[TP], **_: object) -> None:
        # A task: reading takes as long as it takes, and a group does not wait for a member that is in a rebalance.
        task = asyncio.ensure_future(_or_crash(app, feed.assigned(frozenset(assigned))))
        reading.add(task)
        task.add_done_callback(reading.discard)

    handler: Any = assigned  # Faust types its handlers so that none with an argument of its own fits
    app.on_partitions_assigned.connect(handler)
    return app


async def _or_crash(app: faust.App, done: Awaitable[None]) -> None:
    """Wait for it; what it raises ends the app, which would not notice by itself."""
    try:
        await done
    except Exception as error:
        await app.crash(error)
        raise


def _credentials(kafka: KafkaSettings) -> Credentials | None:
    """Who we are, in Faust's words."""
    encrypted = kafka.security_protocol in {"ssl", "sasl_ssl"}
    context = ssl.create_default_context(cafile=kafka.ssl_ca_location) if encrypted else None
    if kafka.sasl_username is not None and kafka.sasl_password is not None:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value(),
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)
