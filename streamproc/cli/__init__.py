"""The command line: thin commands over the rooms, one file each."""

import os
import signal
import sys
from collections.abc import Callable, Sequence

INTERRUPTED = 130
"""What shells say of a process that SIGINT ended."""
SAYS = "stopped by Ctrl-C\n"
SERVICES = (["worker"], ["analytics"], ["connect", "watch"])
"""What a supervisor starts, and ends by SIGTERM."""


def main() -> None:
    """Run the command line. Ctrl-C is one line and no traceback, while the commands are still being read, too."""
    end_at_once_by_sigterm(sys.argv[1:])
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


def end_at_once_by_sigterm(words: Sequence[str]) -> None:
    """Have SIGTERM end a service with exit code 0 wherever no handler of its own is there: nothing is in flight then.

    Each such handler takes the place of this one and puts it back, so that the default action, which a supervisor
    takes for a crash, is never there in between. Whatever code is being read is not unwound: it could swallow what is
    raised in it.
    """
    if _command(words) in SERVICES:
        leave: Callable[[int], object] = os._exit  # at the very end modules have nothing left in them

        signal.signal(signal.SIGTERM, lambda _number, _frame: leave(0))


def _command(words: Sequence[str]) -> Sequence[str]:
    return [word for word in words if word != "--debug"]


def answer_early(words: Sequence[str]) -> object:
    """A worker's doorstep, as ``streamproc worker`` takes it over; None for what is no worker, which opens none.

    It lasts as long as the process where nobody takes it over, as with settings that cannot be.
    """
    if _command(words) != ["worker"]:
        return None

    from streamproc.doorstep import open_doorstep

    return open_doorstep(os.environ)
