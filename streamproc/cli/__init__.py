"""The command line: thin commands over the rooms, one file each."""

import sys

INTERRUPTED = 130
"""What shells say of a process that SIGINT ended."""
SAYS = "stopped by Ctrl-C\n"


def main() -> None:
    """Run the command line. Ctrl-C is one line and no traceback, while the commands are still being read, too."""
    try:
        try:
            from streamproc.cli.app import app

            app()
        except KeyboardInterrupt:
            sys.stderr.write(SAYS)
            sys.exit(INTERRUPTED)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        from streamproc.cli.interrupt import leave

        leave()
