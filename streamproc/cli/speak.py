"""What commands say to people beside their answer."""

import logging
import shutil
import sys
from pathlib import Path

import typer

NAME = "streamproc"
LOGS = "streamproc.logs"
"""In a command's ``meta``: its name, when it is a service that has a log."""


def say(text: str, *, err: bool = False) -> None:
    """Print a line; its hints name the command as it was started."""
    typer.echo(with_program(text), err=err)


def with_program(text: str) -> str:
    """A text whose hints, `streamproc ...` in backquotes, can be typed as they are."""
    return text.replace(f"`{NAME} ", f"`{program()} ")


def program() -> str:
    """How this program was started: the bare name only where the shell finds the same program by it."""
    started = Path(sys.argv[0])
    if (started.parent.name, started.name) == (NAME, "__main__.py"):
        return f"{_typed(Path(sys.executable))} -m {NAME}"
    return _typed(started) if started.name == NAME else NAME


def _typed(path: Path) -> str:
    """What to type for a program."""
    found = shutil.which(path.name)
    if found is not None and Path(found).absolute() == path.absolute():
        return path.name
    try:
        below = path.absolute().relative_to(Path.cwd())
    except ValueError:
        return str(path.absolute())
    return str(below) if len(below.parts) > 1 else f"./{below}"


class Warnings(logging.Handler):
    """Shows the warnings of one logger as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show one."""
        typer.secho("warning: ", err=True, nl=False, fg="yellow", bold=True)
        typer.echo(record.getMessage(), err=True)
