"""Ctrl-C: one line, and an end soon after, whatever library the command is in."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from streamproc.cli import INTERRUPTED, SAYS

END_S = 1.0
"""How long a command that only reads may take to end by itself."""
_STDERR = 2
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def soon_over() -> Iterator[None]:
    """End the process ``END_S`` after a Ctrl-C, also from within a call that Python cannot interrupt.

    For commands that leave nothing half done: their blocks are not unwound then.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()

    def watch() -> None:
        while number := os.read(reader, 1):
            if number[0] == signal.SIGINT and not over.wait(END_S):
                _end()
        os.close(reader)

    watcher = threading.Thread(target=watch, name="interrupt", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(writer)
        watcher.join()


def _end() -> NoReturn:
    try:
        # Past what shows progress, which may have hidden the cursor and has a lock of its own.
        os.write(_STDERR, (_SHOW_CURSOR * os.isatty(_STDERR) + SAYS).encode())
    finally:
        os._exit(INTERRUPTED)


def leave() -> NoReturn:
    """End now, once all is said: what threads still wait for is not waited for, and a second Ctrl-C changes nothing."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with suppress(OSError):
            sys.stdout.flush()
        with suppress(OSError):
            sys.stderr.flush()
    finally:
        os._exit(INTERRUPTED)
