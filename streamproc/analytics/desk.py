"""The desk where all partials meet: every process reads them and can answer, one of them writes trends and alerts."""

import threading
import time
from collections.abc import Callable
from contextlib import closing

from streamproc.analytics.emission import Published
from streamproc.analytics.history import History
from streamproc.analytics.member import Starts
from streamproc.analytics.partial import UnreadablePartialError, decode, terms
from streamproc.analytics.rows import RowCodec
from streamproc.analytics.trend import rule
from streamproc.analytics.view import View
from streamproc.analytics.windows import calendar
from streamproc.errors import DependencyDownError
from streamproc.kafka.publisher import Publisher
from streamproc.kafka.tail import Tail
from streamproc.records.record import Record
from streamproc.settings import Settings
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_POLL_S = 0.2
_AGAIN_S = 2.0
"""Between two tries to reach a server."""


class Desk:
    """Reads partials on a thread of its own, from ``start`` to ``close``; ``view`` may be read under ``lock``.

    Whoever owns the first partition of the results writes: ``writes`` says whether that is this process.
    """

    def __init__(self, settings: Settings, publisher: Publisher, codec: RowCodec, writes: Callable[[], bool]) -> None:
        self._settings = settings
        self._publisher = publisher
        self._codec = codec
        self._writes = writes
        self._rule = rule(settings.analytics)
        self._published: Published | None = None
        self._stopping = threading.Event()
        self._current = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self.lock = threading.Lock()
        self.view = View(calendar(settings.analytics), terms(settings))
        self.failure: BaseException | None = None
        """What ended the thread."""

    @property
    def current(self) -> bool:
        """Whether all partials that were there at the start are read."""
        return self._current.is_set()

    def starts(self) -> Starts:
        """Where each partition was last said to begin; waits until all that was said is read."""
        self._current.wait()
        with self.lock:
            return {told.partition: told.live_from for told in self.view.progress}

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading and writing; safe before ``start``."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._serve()
                except DependencyDownError as error:
                    _log.warning("waiting for a server", dependency=error.dependency, detail=error.detail)
                    self._published = None
                    self._stopping.wait(_AGAIN_S)
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self._current.set()  # nobody is to wait for more

    def _serve(self) -> None:
        with closing(Tail(self._settings, [self._settings.topics.partials], 0)) as tail:
            due = 0.0
            ends = tail.ends()
            while not self._stopping.is_set():
                for record in tail.poll(_POLL_S):
                    self._take(record)
                if not tail.reached(ends):
                    continue
                self._current.set()
                if time.monotonic() >= due:
                    due = time.monotonic() + self._settings.analytics.emit_s
                    self._write()
                    ends = tail.ends()  # a writer that was stopped for long first hears what happened meanwhile

    def _take(self, record: Record) -> None:
        try:
            told = decode(record.key, record.value)
        except UnreadablePartialError as error:
            _log.warning("not a partial", topic=record.topic, offset=record.offset, detail=str(error))
        else:
            with self.lock:
                self.view.take(told)

    def _write(self) -> None:
        """Write what readers lack, if that is our business."""
        if not self._writes():
            self._published = None
            return
        with self.lock:
            if self._published is None:
                self.view.changes()
                changes = self.view.everything()
            else:
                changes = self.view.changes()
            windows, watermark = self.view.windows_of(changes), self.view.watermark
        if self._published is None:
            with History(self._settings) as history:
                self._published = history.published()
        rows = list(self._published.missing(windows, self._rule, time.time_ns() // 1_000_000))
        for row in rows:
            self._publisher.send(self._codec.record(row), row.trend_id)
        self._publisher.flush()
        for row in rows:
            self._published.put(row)
        self._published.forget(watermark - self.view.calendar.retention_ms)
        if rows:
            _log.info("trends written", count=len(rows))
