"""The desk where all partials meet: every process reads them and can answer, one of them writes trends and alerts."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack

from streamproc.analytics.agreement import Agreed, Agreement
from streamproc.analytics.alarms import Alarms
from streamproc.analytics.emission import Published
from streamproc.analytics.history import History
from streamproc.analytics.member import Starts
from streamproc.analytics.partial import Progress, UnreadablePartialError, decode, decode_agreement, terms
from streamproc.analytics.rows import RowCodec
from streamproc.analytics.trend import id_of, rule
from streamproc.analytics.view import View, Window
from streamproc.analytics.windows import calendar
from streamproc.errors import DependencyDownError
from streamproc.kafka.publisher import Publisher
from streamproc.kafka.tail import Tail
from streamproc.patience import AGAIN_S, StoppedError, tell_back, tell_waiting
from streamproc.records.alert import EmotionAlert
from streamproc.records.record import Record, TopicPartition
from streamproc.records.trend import EmotionTrend
from streamproc.settings import Settings
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_POLL_S = 0.2
_JOIN_S = 3.0
_EMPTIED = (
    "windows or attributes that are not kept any more: were analytics.* settings changed since these were written?"
)


class Desk:
    """Reads partials on a thread of its own, from ``start`` to ``close``.

    ``view`` and ``alarms`` may be read under ``lock``; ``turns`` counts how often they were brought up to date. Whoever
    owns the first partition of the results writes: ``mandate`` is the number of the assignment by which that is this
    process, None where it is another. Between two of them another one may have written. It begins when each of
    ``partitions`` has told how far it is since everything that was there at the start is read: what stands there may
    have been told by processes that had other settings, before and after others had theirs.
    """

    def __init__(
        self,
        settings: Settings,
        publisher: Publisher,
        codec: RowCodec,
        mandate: Callable[[], int | None],
        partitions: Collection[int] = (),
    ) -> None:
        self._settings = settings
        self._awaited = set(partitions)
        self._publisher = publisher
        self._codec = codec
        self._mandate = mandate
        self._mandated: int | None = None
        """The one that it heeds."""
        self._rule = rule(settings.analytics)
        self._published: Published | None = None
        self._unheard: dict[tuple[type, str], EmotionTrend | EmotionAlert] = {}
        """Rows that may not have arrived, by what readers upsert by."""
        self._ends: Mapping[TopicPartition, int] | None = None
        self._due = 0.0
        self._stopping = threading.Event()
        self._read = threading.Event()
        self._away: DependencyDownError | None = None
        """Why it waits."""
        self._held = False
        """Whether it has to write, and waits for partitions to tell how far they are."""
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self.lock = threading.Lock()
        self._terms = terms(settings)
        self.view = View(calendar(settings.analytics), self._terms)
        self.alarms = Alarms(self._rule)
        self.agreements: dict[str, Agreed] = {}
        """What was last agreed on in each group that told; read it under ``lock``."""
        self.turns = 0
        self.heard_at = time.monotonic()
        """When it had last heard all, by ``time.monotonic``; at first, when it began."""
        self.failure: BaseException | None = None
        """What ended the thread."""

    @property
    def current(self) -> bool:
        """Whether all partials that were there at the start are read, and nothing is waited for."""
        return self._read.is_set() and self._away is None and not self._held and self.well

    @property
    def read(self) -> bool:
        """Whether all partials that were there at the start are read."""
        return self._read.is_set()

    @property
    def well(self) -> bool:
        """Whether it reads, or is about to, and was not told to stop."""
        return self.failure is None and not self._stopping.is_set()

    def starts(self) -> Starts:
        """What was last said of each partition; waits until all that was said is read."""
        self._read.wait()
        with self.lock:
            return {told.partition: told for told in self.view.progress}

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading and writing; safe before ``start``, and again.

        A thread that waits for a broker which is away is left to the end of the process.
        """
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def refresh(self) -> list[Window]:
        """Bring up to date what is kept of windows that changed; those."""
        with self.lock:
            changed = self.view.windows_of(self.view.changes())
            self.alarms.update(changed, self._over_ms)
            self.turns += 1
        return changed

    @property
    def _over_ms(self) -> int:
        """Windows that ended then, or before, are over."""
        return self.view.watermark - self.view.calendar.retention_ms

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                tail: Tail | None = None
                while not self._stopping.is_set():
                    try:
                        if tail is None:
                            tail = Tail(self._settings, [self._settings.topics.partials], 0)
                            stack.callback(tail.close)
                        self._serve(tail)
                    except DependencyDownError as error:
                        self._away = error
                        tell_waiting(error)
                        self._stopping.wait(AGAIN_S)
        except StoppedError:
            _log.debug("stopped while reading what readers have")
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self._read.set()  # nobody is to wait for more

    def _serve(self, tail: Tail) -> None:
        self._heed()
        if self._ends is None:
            self._ends = tail.ends()
        for record in tail.poll(_POLL_S):
            self._take(record)
        if not tail.reached(self._ends):
            return
        if time.monotonic() >= self._due or not self._read.is_set():
            changed = self.refresh()
            self._read.set()
            self._write(changed)
            self._due = time.monotonic() + self._settings.analytics.emit_s
            self._ends = tail.ends()  # a writer that was stopped for long first hears what happened meanwhile
            self.heard_at = time.monotonic()
            if self._away is not None:
                tell_back(self._away)
            self._away = None

    def _heed(self) -> None:
        """Look at the mandate: with another than before, what is known of readers' rows, and heard, may be old."""
        if (mandate := self._mandate()) != self._mandated:
            self._mandated = mandate
            self._published = None
            self._unheard.clear()
            self._ends = None

    def _take(self, record: Record) -> None:
        try:
            agreement = decode_agreement(record.key, record.value)
            told = agreement or decode(record.key, record.value)
        except UnreadablePartialError as error:
            _log.warning("not a partial", topic=record.topic, offset=record.offset, detail=str(error))
        else:
            with self.lock:
                if isinstance(told, Agreement):
                    self.agreements[told.group] = told.agreed
                else:
                    self.view.take(told)
            if isinstance(told, Progress) and told.terms == self._terms and self.read:
                self._awaited.discard(told.partition)

    def _write(self, changed: list[Window]) -> None:
        """Write what readers lack, if that is our business."""
        writes = self._mandated is not None and self._mandate() == self._mandated
        self._held = writes and bool(self._awaited)
        if not writes or self._held:
            return
        now_ms = time.time_ns() // 1_000_000
        if self._published is None:
            with History(self._settings, self._stopping) as history:
                published = history.published(self._over_ms)
            with self.lock:
                changed = self.view.windows_of(self.view.everything())
            self._published = published
            # What other settings left: of attributes and windows that are not kept any more.
            excess = list(published.excess({id_of(window) for window in changed}, self._rule, now_ms))
            if excess:
                _log.warning("rows that nothing stands behind are emptied", count=len(excess), detail=_EMPTIED)
            self._owe(published, excess)
        self._owe(self._published, list(self._published.missing(changed, self._rule, now_ms)))
        for row in self._unheard.values():
            self._publisher.send(self._codec.record(row), row.trend_id)
        self._publisher.flush()
        if self._unheard:
            _log.info("trends written", count=len(self._unheard))
        self._unheard.clear()
        self._published.forget(self._over_ms)

    def _owe(self, published: Published, rows: Iterable[EmotionTrend | EmotionAlert]) -> None:
        """Take rows for what readers have, and write them until they have arrived."""
        for row in rows:
            published.put(row)
            self._unheard[type(row), row.trend_id] = row
