"""How an answer is shown to people."""

from datetime import datetime
from decimal import Decimal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from streamproc.operate.warehouse.answer import Answer

LONGEST = 80
"""Characters of one cell, so that ids and keys are whole; `--json` has all of any."""


def answer_table(answer: Answer) -> Group:
    """The question, and a row for each of its answer, or why there is none."""
    words = Text(answer.question.words, style="bold")
    if answer.missing:
        return Group(words, Text(f"(nothing: {answer.missing})"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in answer.columns:
        table.add_column(name, overflow="fold")  # an id that is cut cannot be looked up
    for row in answer.rows or [("(nothing)", *("" for _ in answer.columns[1:]))]:
        table.add_row(*(Text(cell(value)) for value in row))
    return Group(words, table)


def plain(value: object) -> object:
    """What JSON has no word for: a database's number as a number, a time as ISO 8601 writes it."""
    return (
        float(value) if isinstance(value, Decimal) else value.isoformat() if isinstance(value, datetime) else str(value)
    )


def cell(value: object) -> str:
    """A value in a few characters, without anything that a terminal would take for a command."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    text = "".join(char if char.isprintable() else "?" for char in str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
