"""The command line: thin commands over the rooms, one file each."""

import os
import sys
from collections.abc import Sequence

INTERRUPTED = 130
"""What shells say of a process that SIGINT ended."""
SAYS = "stopped by Ctrl-C\n"


def main() -> None:
    """Run the command line. Ctrl-C is one line and no traceback, while the commands are still being read, too."""
    try:
        try:
            doorstep = answer_early(sys.argv[1:])

            from streamproc.cli.app import app

            app(obj=doorstep)
        except KeyboardInterrupt:
            sys.stderr.write(SAYS)
            sys.exit(INTERRUPTED)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        from streamproc.cli.interrupt import leave

        leave()


def answer_early(words: Sequence[str]) -> object:
    """A worker's doorstep, as ``streamproc worker`` takes it over; None for what is no worker, which opens none.

    It lasts as long as the process where nobody takes it over, as with settings that cannot be.
    """
    if [word for word in words if word != "--debug"] != ["worker"]:
        return None

    from streamproc.doorstep import open_doorstep

    return open_doorstep(os.environ)
