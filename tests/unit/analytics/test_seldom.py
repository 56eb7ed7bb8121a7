import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from streamproc.analytics.seldom import EVERY_S, Seldom
from streamproc.errors import DependencyDownError
from streamproc.patience import tell_waiting
from streamproc.settings import LogSettings
from streamproc.telemetry.log import get_log
from streamproc.telemetry.voice import configure_log


class Said:
    """What a process says, at a time that is set."""

    def __init__(self) -> None:
        self.now = 100.0
        self._stream = io.StringIO()
        configure_log(LogSettings(format="json"), self._stream)
        for handler in logging.getLogger().handlers:
            handler.addFilter(Seldom(lambda: self.now))

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def said() -> Iterator[Said]:
    loggers = [logging.getLogger(), logging.getLogger("streamproc")]
    before = [(one, one.handlers, one.level) for one in loggers]
    configured = structlog.get_config()
    yield Said()
    for one, handlers, level in before:
        one.handlers = handlers
        one.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.configure(**configured)


def test_a_library_that_repeats_itself_is_heard_now_and_then(said: Said) -> None:
    log = logging.getLogger("aiokafka.conn")
    for number in range(600):
        said.now += EVERY_S / 600
        log.error("Unable connect to node with id %s: %s", 1, number)
        log.error("another thing")
    said.now += EVERY_S
    log.error("Unable connect to node with id %s: %s", 1, "100 % of it")
    assert [line["event"] for line in said.lines] == [
        "Unable connect to node with id 1: 0",
        "another thing",
        "Unable connect to node with id 1: 100 % of it (said 600 times in 60 s)",
    ]


def test_each_server_that_is_waited_for_is_said(said: Said) -> None:
    for _ in range(10):
        for name in ("kafka", "schema registry"):
            tell_waiting(DependencyDownError(name, "it is not there"))
    said.now += EVERY_S
    tell_waiting(DependencyDownError("kafka", "it is not there"))
    assert [(line["dependency"], line.get("count")) for line in said.lines] == [
        ("kafka", None),
        ("schema registry", None),
        ("kafka", 10),
    ]


def test_others_are_heard_as_often_as_they_speak(said: Said) -> None:
    for _ in range(3):
        get_log("streamproc.analytics").warning("not rows of ours")
        logging.getLogger("aiokafkas").warning("not a library of ours")
    assert len(said.lines) == 6


def test_texts_that_are_never_the_same_are_not_remembered_without_end() -> None:
    quiet = Seldom()
    for number in range(10_000):
        quiet.filter(logging.LogRecord("aiokafka", logging.ERROR, "", 0, f"text {number}", (), None))
    assert len(quiet._said) <= 256
