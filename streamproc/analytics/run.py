"""The app as a process: its parts joined, from the start to SIGTERM."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import faust
from aiokafka.errors import InconsistentGroupProtocolError

from streamproc.analytics.agreement import agreement, differences
from streamproc.analytics.api import Api
from streamproc.analytics.app import Feed, build_app
from streamproc.analytics.desk import Desk
from streamproc.analytics.figures import Figures, registry_of
from streamproc.analytics.history import History
from streamproc.analytics.observation import unknown_labels
from streamproc.analytics.refusal import refusal
from streamproc.analytics.retention import check_retention
from streamproc.analytics.rows import look_up_codec
from streamproc.analytics.seldom import seldom
from streamproc.errors import Fatal, FatalError, StreamprocError
from streamproc.kafka.publisher import Publisher
from streamproc.patience import Patience, StoppedError
from streamproc.records.result import SCORE_COLUMNS
from streamproc.settings import HttpSettings, Settings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.http import listen
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_LOOK_S = 0.2
"""How soon an end is noticed."""
_GRACE_S = 2.0
"""At the end, for records to arrive; what does not is told, or written, by whoever comes after."""


def run_analytics(settings: Settings, clock: Clock) -> None:
    """Run the app in this process until SIGTERM or SIGINT. Raises StreamprocError with its exit code."""
    with seldom(), suppress(StoppedError):
        asyncio.run(_run(settings, clock))
    _log.info("stopped")


async def _run(settings: Settings, clock: Clock) -> None:
    stop, ending = asyncio.Event(), threading.Event()

    def end() -> None:
        stop.set()
        ending.set()

    patience = Patience(settings.worker, clock, ending)
    with ExitStack() as stack:
        stack.enter_context(_on_signals(end))
        history = stack.enter_context(History(settings, ending))
        partitions = await asyncio.to_thread(patience, history.partitions)
        codec = await asyncio.to_thread(patience, lambda: look_up_codec(settings))
        await asyncio.to_thread(patience, lambda: check_retention(settings))
        member = history.member(())
        partials, rows = (stack.enter_context(closing(Publisher(settings))) for _ in range(2))
        desk = Desk(settings, rows, codec, lambda: feed.mandate, partitions)
        feed = Feed(settings, member, history, partials, desk.starts)

        def ready() -> bool:
            return feed.current and desk.current

        api = Api(settings, desk, ready, registry_of(Figures(feed, desk, ready)), clock)
        listening = HttpSettings(host=settings.analytics.host, port=settings.analytics.port)
        http = stack.enter_context(listen(listening, api, "ANALYTICS"))
        folder = stack.enter_context(TemporaryDirectory(prefix="streamproc-analytics-"))
        app = build_app(settings, feed, Path(folder))

        def give_up() -> None:
            for publisher in (partials, rows):
                publisher.close()

        url = f"http://{settings.analytics.host}:{http.port}"
        _log.info("analytics starts", url=url, count=len(partitions))
        starting: asyncio.Future[None] | None = None
        try:
            _tell_unknown(settings)
            desk.start()
            changed = ""
            while (reason := _reason(app, starting, desk, feed)) is None and not stop.is_set():
                # Others tell everything again to who has joined: that it has to hear.
                if starting is None and desk.read:
                    changed = _changed(settings, desk)
                    starting = asyncio.ensure_future(app.start())
                changed = _tell_changed(changed, feed)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _LOOK_S)
            if isinstance(reason, InconsistentGroupProtocolError):
                reason = await asyncio.to_thread(refusal, settings, desk, ending)
        finally:
            # Threads that read are told, and waited for: the clients that they read with are closed below.
            ending.set()
            feed.end()
            giving_up = asyncio.get_running_loop().call_later(_GRACE_S, give_up)
            await asyncio.gather(_stop(app, starting), asyncio.to_thread(desk.close), feed.close())
            giving_up.cancel()
        if reason is not None:
            raise _ended(reason) from reason


@contextmanager
def _on_signals(end: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT have the loop call this.

    The loop's own way leaves the default action of SIGTERM behind, which a supervisor takes for a crash.
    """
    loop = asyncio.get_running_loop()

    def tell(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _stop(app: faust.App, starting: asyncio.Future[None] | None) -> None:
    if starting is not None:
        await app.stop()
        starting.cancel()
        await asyncio.wait([starting])


def _tell_unknown(settings: Settings) -> None:
    """Say which labels the published model does not have."""
    if unknown := unknown_labels(settings.analytics.negative_labels):
        detail = f"{', '.join(unknown)} (analytics.negative_labels); it has {', '.join(SCORE_COLUMNS)}"
        _log.warning("labels that the published model does not have", detail=detail)


def _changed(settings: Settings, desk: Desk) -> str:
    """With which other settings the group ran last, in words."""
    own = agreement(settings)
    with desk.lock:
        before = desk.agreements.get(own.group, own.agreed)
    return "; ".join(differences(before, own.agreed))


def _tell_changed(changed: str, feed: Feed) -> str:
    """Say it once the group took this process: whoever is refused hears it then. What is still to be said."""
    if not changed or not feed.taken:
        return changed
    _log.warning("the group ran last with other settings", detail=changed)
    return ""


def _reason(app: faust.App, starting: asyncio.Future[None] | None, desk: Desk, feed: Feed) -> BaseException | None:
    """Why it cannot go on."""
    if starting is None:
        return desk.failure
    if starting.done() and (failure := starting.exception()) is not None:
        return failure
    if app.should_stop:
        return app.crash_reason or FatalError("Faust stopped by itself")
    return desk.failure or feed.failure or feed.refused


def _ended(reason: BaseException) -> StreamprocError:
    """What the process ends with."""
    if isinstance(reason, StreamprocError):
        return reason
    return FatalError(f"the analytics app failed: {type(reason).__name__}: {reason}", Fatal.UNFORESEEN)
