"""Ctrl-C and SIGTERM, for commands that start processes and have to take them down again."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupted_by_sigterm() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM end things in order, as Ctrl-C does. Gives what tells whether it came.

    What is raised within a callback of a library may end there, so that nobody else hears of it.
    """
    came = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)


def shielded(clean_up: Callable[[], object]) -> None:
    """Clean up without being interrupted in it by a second Ctrl-C."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        clean_up()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
