"""The command line: thin commands over the rooms, one file each."""

from streamproc.cli.app import main

__all__ = ["main"]
