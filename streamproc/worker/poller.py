"""The polling thread: owns the consumer, keeps polling whatever happens, and never waits for the stages.

Its one exception is a revoke, where the group waits for us anyway: there it waits, inside the drain budget, for what
is on the device or committing. (The source may block too, when it asks where partitions start.)
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.settings import FlowSettings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics, Rebalance
from streamproc.telemetry.timesheet import Activity, Hand, NoSheet, Sheet, at
from streamproc.worker.core.ownership import Ownership
from streamproc.worker.core.retry import Polled
from streamproc.worker.host import Flag, Host, Running, Wake
from streamproc.worker.ports import Assignments, Source

log = get_log(__name__)

IDLE_POLL_S = 0.1
"""How long a poll lasts that is only there to serve the group, and the longest wait for room without a look around."""


SERVE_S = 0.02
"""How long the commit thread may wait for its turn while a revoke is waited out."""


@dataclass(frozen=True, slots=True)
class Begun:
    """These partitions are ours from these offsets on; each start with the epoch of its partition."""

    starts: tuple[tuple[CommitOffset, int], ...]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Records of one poll."""

    polled: tuple[Polled, ...]


@dataclass(frozen=True, slots=True)
class Revoking:
    """These partitions go once ``settled`` is set, or the drain budget is spent."""

    partitions: tuple[TopicPartition, ...]
    settled: Flag


@dataclass(frozen=True, slots=True)
class Gone:
    """These partitions are not ours any more."""

    partitions: tuple[TopicPartition, ...]


News = Begun | Arrived | Revoking | Gone


class Room:
    """Whether there is room for a micro-batch. Whoever waits for it can be called away before."""

    def __init__(self, turn: Flag) -> None:
        self._turn = turn
        self._free = False

    def set(self) -> None:
        """There is."""
        if not self._free:  # said again and again, by the loop
            self._free = True
            self._turn.set()

    def clear(self) -> None:
        """There is none."""
        self._free = False

    def is_set(self) -> bool:
        """Whether there is."""
        return self._free

    def call(self) -> None:
        """End the wait for it, this one or the next: there is something else to do."""
        self._turn.set()

    def wait(self, timeout_s: float) -> None:
        """Wait until there is, or for a call. It may end early; what was said while nobody waited is not lost."""
        self._turn.wait(timeout_s)
        self._turn.clear()


class Poller:
    """What runs on the polling thread, and the few fields through which the loop steers it."""

    def __init__(
        self,
        flow: FlowSettings,
        open_source: Callable[[Assignments], Source],
        ownership: Ownership,
        host: Host,
        wake: Wake,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._flow = flow
        self._open_source = open_source
        self._ownership = ownership
        self._host = host
        self._wake = wake
        self._clock = clock
        self._metrics = metrics
        self._sheet: Sheet = NoSheet()
        self._source: Source | None = None
        self._revoke_s = flow.drain_s
        self._draining = host.flag()
        self._closing = host.flag()
        self._thread: Running | None = None
        self.news: deque[News] = deque()
        self.room = Room(host.flag())
        self.not_due: frozenset[TopicPartition] = frozenset()
        """Lane partitions to keep paused; replaced whole by the loop, read here."""
        self.error: Exception | None = None

    def start(self) -> None:
        """Join the group."""
        self._thread = self._host.start("poll", self._run)

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def trouble(self) -> str | None:
        """What keeps records from coming, as the source says."""
        return None if self._source is None else self._source.trouble

    @property
    def drained(self) -> Mapping[TopicPartition, int]:
        """Where partitions ended whose last record was taken, as the source says."""
        return {} if self._source is None else self._source.drained

    def drain(self) -> None:
        """Take no more records, but stay in the group."""
        self._draining.set()

    def close(self, wait_s: float) -> None:
        """Leave the group and end the thread; ``running`` tells when it has.

        What is in flight still may take ``wait_s``: a drain that spent its budget must not be given it again.
        """
        self._revoke_s = wait_s
        self._closing.set()

    def group_metadata(self) -> object:
        """The member's identity, for the commit thread."""
        if self._source is None:
            raise RuntimeError("nothing can be committed before the group was joined")
        return self._source.group_metadata()

    # --- told by the source, on this thread --------------------------------------------------------------------------

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """Begin an epoch for each partition."""
        epochs = self._ownership.assign(starts)
        self._tell(Begun(tuple((start, epochs[partition]) for partition, start in starts.items())))
        self._metrics.rebalances[Rebalance.ASSIGNED].inc()
        log.info("partitions assigned", count=len(starts))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Wait inside the drain budget for what can still be committed, then let go."""
        self._metrics.rebalances[Rebalance.REVOKED].inc()
        began = self._clock.monotonic()
        settled = self._host.flag()
        self._tell(Revoking(tuple(partitions), settled))
        with at(self._sheet, Activity.REVOKE):
            in_time = self._await(settled, began)
        self._ownership.drop(partitions)
        self._tell(Gone(tuple(partitions)))
        seconds = round(self._clock.monotonic() - began, 3)
        if in_time:
            log.info("partitions revoked", count=len(partitions), seconds=seconds)
        else:
            log.warning("partitions revoked with work unfinished", count=len(partitions), seconds=seconds)

    def _await(self, settled: Flag, began: float) -> bool:
        """Wait, serving the commit thread meanwhile: what is waited for may need the consumer that this thread owns.

        The budget is looked at each time: ``close`` may have cut it.
        """
        while not settled.wait(SERVE_S):
            if self._source is not None:
                self._source.serve()
            if self._clock.monotonic() >= began + self._revoke_s:
                return False
        return True

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Mark only: somebody else works on them already."""
        self._ownership.drop(partitions)
        self._metrics.rebalances[Rebalance.LOST].inc()
        self._tell(Gone(tuple(partitions)))
        log.warning("partitions lost", count=len(partitions))

    def asked(self) -> None:
        """Be told, on another thread, that it waits for this one: without room it would for ``IDLE_POLL_S``."""
        self.room.call()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._sheet = self._host.sheet(Hand.POLL, Activity.START)
        try:
            self._source = self._open_source(self)
            self._sheet.enter(Activity.STEER)
            self._poll_until_closed(self._source)
        except Exception as error:  # noqa: BLE001  # not swallowed: the loop raises it, on the thread that can end the process
            self.error = error
        self._leave()
        self._wake.set()

    def _leave(self) -> None:
        """Close the source. What ended the polling says more than what that broke."""
        try:
            if self._source is not None:
                self._source.close()
        except Exception as error:  # noqa: BLE001  # same
            self.error = self.error or error

    def _poll_until_closed(self, source: Source) -> None:
        """Poll while there is room. Without it the first ``flow.pause_after_s`` pass without a poll.

        Heartbeats go on meanwhile, on a thread of the client. A rebalance is heard of that much later, and then a
        revoke may take its drain: the chain of settings keeps both together inside ``kafka.max_poll_interval_s``.
        """
        blocked_since: float | None = None
        while not self._closing.is_set():
            if self.room.is_set() and not self._draining.is_set():
                blocked_since = None
                source.pause(self.not_due)
                self._arrive(self._poll(source, self._flow.micro_batch_records, self._flow.linger_s))
                continue
            now = self._clock.monotonic()
            blocked_since = now if blocked_since is None else blocked_since
            if self._draining.is_set() or now - blocked_since >= self._flow.pause_after_s:
                source.pause(self._ownership.partitions())
                self._arrive(self._poll(source, 1, IDLE_POLL_S))
            else:
                source.serve()
                with at(self._sheet, Activity.BLOCKED):
                    self.room.wait(IDLE_POLL_S)

    def _poll(self, source: Source, most: int, timeout_s: float) -> Sequence[Record]:
        with at(self._sheet, Activity.CLIENT):
            return source.poll(most, timeout_s)

    def _arrive(self, records: Sequence[Record]) -> None:
        polled = []
        for record in records:
            epoch = self._ownership.epoch(record.source)
            if epoch is not None:
                polled.append(Polled(record, epoch))
        if polled:
            # One poll may fill the room; the loop says when there is more.
            self.room.clear()
            self._tell(Arrived(tuple(polled)))

    def _tell(self, news: News) -> None:
        self.news.append(news)
        self._wake.set()
