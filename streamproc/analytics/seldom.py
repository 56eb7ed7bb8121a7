"""Libraries say the same thing many times a second while a broker is away; here each thing is said now and then."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamproc.patience import tell_waiting

EVERY_S = 30.0
_REPEATING = ("aiokafka", "faust", "mode", tell_waiting.__module__)
_MOST = 256
"""Texts that are remembered; a text that has a number in it is another one each time."""


class Seldom(logging.Filter):
    """Lets a text of those who repeat themselves pass every ``EVERY_S``, with how often it was said in between."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[object, tuple[float, int]] = {}
        """When each text was let pass, and how often it was not since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is to be written; adds to it how many like it were not."""
        if not any(record.name == name or record.name.startswith(f"{name}.") for name in _REPEATING):
            return True
        # Ours are structured: what is waited for is another text for each server.
        ours = record.msg if isinstance(record.msg, dict) else {}
        text = (record.name, record.levelno, str(ours.get("event", record.msg)), ours.get("dependency"))
        now = self._clock()
        at, left_out = self._said.get(text, (now - EVERY_S, 0))
        if now - at < EVERY_S:
            self._said[text] = at, left_out + 1
            return False
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[text] = now, 0
        if left_out and ours:
            ours["count"] = left_out + 1
        elif left_out:
            record.msg, record.args = f"{record.getMessage()} (said {left_out + 1} times in {now - at:.0f} s)", ()
        return True


@contextmanager
def seldom() -> Iterator[None]:
    """Let the log of this process have it so."""
    handlers, quiet = list(logging.getLogger().handlers), Seldom()
    for handler in handlers:
        handler.addFilter(quiet)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(quiet)
