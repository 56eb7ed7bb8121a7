"""The process from its start to its end, as far as it needs no server."""

import os
import signal
import threading
import time

import pytest
import structlog

from streamproc.analytics.run import _tell_unknown, run_analytics
from streamproc.errors import DependencyDownError
from streamproc.settings import AnalyticsSettings, Settings, WorkerSettings
from streamproc.telemetry.clock import SystemClock


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_it_is_told_to_while_it_waits_for_a_server(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr("streamproc.patience.AGAIN_S", 60.0)
    tries: list[float] = []

    def look_up(_settings: Settings) -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        raise DependencyDownError("schema registry", "it is not there")

    monkeypatch.setattr("streamproc.analytics.run.look_up_codec", look_up)
    run_analytics(Settings(worker=WorkerSettings(start_wait_s=5)), SystemClock())
    assert len(tries) == 1
    assert time.monotonic() - tries[0] < 4


def test_labels_that_the_model_does_not_have_are_told() -> None:
    settings = Settings(analytics=AnalyticsSettings(negative_labels=("angry", "angy")))
    with structlog.testing.capture_logs() as log:
        _tell_unknown(Settings())
        _tell_unknown(settings)
    (line,) = log
    assert line["detail"].startswith("angy (analytics.negative_labels)")


def test_a_server_that_never_comes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(_settings: Settings) -> None:
        raise DependencyDownError("schema registry", "it is not there")

    monkeypatch.setattr("streamproc.analytics.run.look_up_codec", look_up)
    with pytest.raises(DependencyDownError):
        run_analytics(Settings(worker=WorkerSettings(start_wait_s=0.1)), SystemClock())
