"""The command line: thin commands over the rooms, one file each."""

import sys

INTERRUPTED = 130
"""What shells say of a process that SIGINT ended."""


def main() -> None:
    """Run the command line. Ctrl-C is no traceback while the commands are still being read, either."""
    try:
        from streamproc.cli.app import app
    except KeyboardInterrupt:
        sys.stderr.write("stopped by Ctrl-C\n")
        sys.exit(INTERRUPTED)
    app()
