"""What an analyst asks the warehouse: views over its tables, and questions with their answers."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from streamproc.errors import UsageError
from streamproc.operate.warehouse.answer import Answer, Question
from streamproc.operate.warehouse.connectors import files
from streamproc.operate.warehouse.database import open_database
from streamproc.settings import WarehouseSettings

NAMES = ("angry", "turned", "coverage", "slowest", "dead")


def questions(names: Sequence[str] = NAMES) -> Sequence[Question]:
    """Questions by their names. Raises UsageError for a name that none has."""
    if unknown := [name for name in names if name not in NAMES]:
        raise UsageError(f"there is no question {', '.join(unknown)}; there are {', '.join(NAMES)}")
    found = []
    for name in names:
        text = files().joinpath("questions", f"{name}.sql").read_text("utf-8")
        words, _, statement = text.removeprefix("-- ").partition("\n")
        found.append(Question(name, words, statement))
    return found


def ask(settings: WarehouseSettings, names: Sequence[str] = NAMES) -> Sequence[Answer]:
    """Make the views, then ask. Raises UsageError for what needs a table without a first row, DependencyDownError."""
    wanted = questions(names)
    with open_database(settings) as database:
        database.execute(sql.SQL("set search_path to {}").format(sql.Identifier(settings.namespace)))
        _make_views(database)
        try:
            return [_answer(database, question) for question in wanted]
        except psycopg.errors.UndefinedTable as error:
            raise UsageError(
                f"{str(error).splitlines()[0]}: Kafka Connect makes each table with its first row, views follow. "
                "`streamproc connect status` tells what the connectors do"
            ) from error


def _make_views(database: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """Make each view, but for those whose tables wait for their first row."""
    for statement in files().joinpath("views.sql").read_bytes().split(b";\n"):
        with suppress(psycopg.errors.UndefinedTable):
            database.execute(statement)


def _answer(database: "psycopg.Connection[tuple[Any, ...]]", question: Question) -> Answer:
    cursor = database.execute(question.statement.encode())
    columns = tuple(column.name for column in cursor.description or ())
    return Answer(question, columns, tuple(cursor.fetchall()))
