"""Rows on stdout, one by one."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Never

import typer
from rich.console import Console

from streamproc.errors import ExitCode
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.lines import dead_letter_line, header, result_line
from streamproc.operate.outputs import Output
from streamproc.records.result import EmotionResult


class PipeConsole(Console):
    """A console that leaves a closed pipe to its caller; rich itself would end with exit code 1."""

    def on_broken_pipe(self) -> Never:
        """Hand the error on."""
        raise BrokenPipeError


@contextmanager
def until_unread() -> Iterator[None]:
    """Leave off printing, and go on behind it, when nobody reads on, as ``head``: that is no failure."""
    try:
        yield
    except BrokenPipeError:
        # What is left in the buffer has to go somewhere when Python ends, or it would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_rows(rows: Iterable[Output], *, dead_letters: bool, as_json: bool) -> int:
    """Print each row as it comes; how many there were. Ends the command well when nobody reads on."""
    with until_unread():
        return _print(rows, dead_letters=dead_letters, as_json=as_json)
    raise typer.Exit(ExitCode.DONE)


def _print(rows: Iterable[Output], *, dead_letters: bool, as_json: bool) -> int:
    console = PipeConsole(soft_wrap=True)
    shown = 0
    if not as_json:
        console.print(header(dead_letters=dead_letters))
    for shown, row in enumerate(rows, 1):  # noqa: B007  # the last number is the answer
        match row:
            case EmotionResult() if as_json:
                typer.echo(json.dumps(row._asdict(), ensure_ascii=False))
            case DeadLetter() if as_json:
                typer.echo(json.dumps(asdict(row), ensure_ascii=False))
            case EmotionResult():
                console.print(result_line(row))
            case DeadLetter():
                console.print(dead_letter_line(row))
    return shown
