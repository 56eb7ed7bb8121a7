"""The process from its start to its end, as far as it needs no server."""

import os
import signal
import threading
import time

import pytest
import structlog

from streamproc.analytics.history import History
from streamproc.analytics.run import _tell_unknown, run_analytics
from streamproc.errors import DependencyDownError, UsageError
from streamproc.settings import AnalyticsSettings, Settings, WorkerSettings
from streamproc.telemetry.clock import SystemClock


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_it_is_told_to_while_it_waits_for_a_server(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr("streamproc.patience.AGAIN_S", 60.0)
    tries: list[float] = []

    def partitions(_: History) -> range:
        tries.append(time.monotonic())
        if len(tries) == 1:
            threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        raise DependencyDownError("kafka", "it is not there")

    monkeypatch.setattr(History, "partitions", partitions)
    before = signal.signal(number, lambda *_: None)
    try:
        own = signal.getsignal(number)
        run_analytics(Settings(worker=WorkerSettings(start_wait_s=5)), SystemClock())
        assert signal.getsignal(number) is own  # not the default action, which would be a crash to a supervisor
    finally:
        signal.signal(number, before)
    assert len(tries) == 1
    assert time.monotonic() - tries[0] < 4


def test_labels_that_the_model_does_not_have_are_told() -> None:
    settings = Settings(analytics=AnalyticsSettings(negative_labels=("angry", "angy")))
    with structlog.testing.capture_logs() as log:
        _tell_unknown(Settings())
        _tell_unknown(settings)
    (line,) = log
    assert line["detail"].startswith("angy (analytics.negative_labels)")


def test_a_topic_that_is_not_there_is_told_before_its_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has neither would else be told to register what is of no use yet."""

    def partitions(_: History) -> range:
        raise UsageError("there is no topic")

    def look_up(_: Settings) -> None:
        raise UsageError("it is not registered")

    monkeypatch.setattr(History, "partitions", partitions)
    monkeypatch.setattr("streamproc.analytics.run.look_up_codec", look_up)
    with pytest.raises(UsageError, match="there is no topic"):
        run_analytics(Settings(), SystemClock())


def test_a_server_that_never_comes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(_settings: Settings) -> None:
        raise DependencyDownError("schema registry", "it is not there")

    monkeypatch.setattr(History, "partitions", lambda _: range(1))
    monkeypatch.setattr("streamproc.analytics.run.look_up_codec", look_up)
    with pytest.raises(DependencyDownError):
        run_analytics(Settings(worker=WorkerSettings(start_wait_s=0.1)), SystemClock())
