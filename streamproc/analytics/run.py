"""The app as a process: its parts joined, from the start to SIGTERM."""

import asyncio
import signal
import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from streamproc.analytics.api import Api
from streamproc.analytics.app import Feed, build_app
from streamproc.analytics.desk import Desk
from streamproc.analytics.figures import Figures, registry_of
from streamproc.analytics.history import History
from streamproc.analytics.retention import check_retention
from streamproc.analytics.rows import look_up_codec
from streamproc.errors import Fatal, FatalError, StreamprocError
from streamproc.kafka.publisher import Publisher
from streamproc.patience import Patience, StoppedError
from streamproc.settings import HttpSettings, Settings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.http import listen
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_LOOK_S = 0.2
"""How soon an end is noticed."""


def run_analytics(settings: Settings, clock: Clock) -> None:
    """Run the app in this process until SIGTERM or SIGINT. Raises StreamprocError with its exit code."""
    with suppress(StoppedError):
        asyncio.run(_run(settings, clock))
    _log.info("stopped")


async def _run(settings: Settings, clock: Clock) -> None:
    stop, ending = asyncio.Event(), threading.Event()

    def end() -> None:
        stop.set()
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    patience = Patience(settings.worker, clock, ending)
    codec = await asyncio.to_thread(patience, lambda: look_up_codec(settings))
    with ExitStack() as stack:
        history = stack.enter_context(History(settings, ending))
        partitions = await asyncio.to_thread(patience, history.partitions)
        await asyncio.to_thread(patience, lambda: check_retention(settings))
        member = history.member(())
        partials, rows = (stack.enter_context(closing(Publisher(settings))) for _ in range(2))
        desk = Desk(settings, rows, codec, lambda: 0 in member.partitions)
        stack.callback(desk.close)
        feed = Feed(settings, member, history, partials, desk.starts)

        def ready() -> bool:
            return feed.current and desk.current

        api = Api(settings, desk, ready, registry_of(Figures(feed, desk, ready)))
        listening = HttpSettings(host=settings.analytics.host, port=settings.analytics.port)
        http = stack.enter_context(listen(listening, api, "ANALYTICS"))
        folder = stack.enter_context(TemporaryDirectory(prefix="streamproc-analytics-"))
        app = build_app(settings, feed, Path(folder))
        desk.start()
        url = f"http://{settings.analytics.host}:{http.port}"
        _log.info("analytics starts", url=url, count=len(partitions))
        try:
            await app.start()
            while not app.should_stop and desk.failure is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _LOOK_S)
                    break
            reason = app.crash_reason or desk.failure
        finally:
            # Threads that read are told first and waited for last: the clients that they read with are closed below.
            ending.set()
            feed.end()
            await app.stop()
            await asyncio.to_thread(desk.close)
            await feed.close()
        if reason is not None:
            raise _ended(reason) from reason


def _ended(reason: BaseException) -> StreamprocError:
    """What the process ends with."""
    if isinstance(reason, StreamprocError):
        return reason
    return FatalError(f"the analytics app failed: {type(reason).__name__}: {reason}", Fatal.UNFORESEEN)
