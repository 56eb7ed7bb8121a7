"""Memory: a benchmark of the engine runs with the settings of memory that the device process has."""

import os
import sys

from streamproc.emotion.device_child import MEMORY


def as_in_a_device_process() -> None:
    """Begin this program again with them, unless it has them: the C library reads them once, when it starts."""
    if not os.environ.keys() >= MEMORY.keys():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], MEMORY | os.environ)  # noqa: S606  # no shell, and the arguments are our own
