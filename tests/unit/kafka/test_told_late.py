import threading

import pytest
from structlog.testing import capture_logs

from streamproc.kafka import lookup
from streamproc.kafka.lookup import told_late


def test_who_waits_for_brokers_is_told_so_before_the_patience_with_them_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookup, "_TOLD_S", 0.01)
    with capture_logs() as lines, told_late("b:1"):
        (timer,) = (one for one in threading.enumerate() if isinstance(one, threading.Timer))
        timer.join(10)
    assert [(line["event"], line["url"]) for line in lines] == [("no broker answers yet", "b:1")]


def test_an_answer_in_time_is_told_to_nobody() -> None:
    with capture_logs() as lines, told_late("b:1"):
        (timer,) = (one for one in threading.enumerate() if isinstance(one, threading.Timer))
    timer.join(10)
    assert lines == []
