"""A question to the warehouse, and what it said."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its name, what it asks in words, and in SQL."""

    name: str
    words: str
    statement: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database said."""

    question: Question
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    missing: str | None = None
    """Why there is no row: what of the database is not there yet; None where it was asked."""
