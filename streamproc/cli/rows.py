"""Rows on stdout, one by one."""

import json
from collections.abc import Iterable
from dataclasses import asdict

import typer
from rich.console import Console

from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.lines import dead_letter_line, header, result_line
from streamproc.operate.outputs import Output
from streamproc.records.result import EmotionResult


def show_rows(rows: Iterable[Output], *, dead_letters: bool, as_json: bool) -> int:
    """Print each row as it comes; how many there were."""
    console = Console(soft_wrap=True)
    shown = 0
    if not as_json:
        console.print(header(dead_letters=dead_letters))
    for shown, row in enumerate(rows, 1):  # noqa: B007  # the last number is the answer
        match row:
            case EmotionResult() | DeadLetter() if as_json:
                typer.echo(json.dumps(asdict(row), ensure_ascii=False))
            case EmotionResult():
                console.print(result_line(row))
            case DeadLetter():
                console.print(dead_letter_line(row))
    return shown
