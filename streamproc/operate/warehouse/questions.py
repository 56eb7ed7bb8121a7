"""What an analyst asks the warehouse: views over its tables, and questions with their answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from streamproc.errors import DependencyDownError, UsageError
from streamproc.operate.warehouse.answer import Answer, Question
from streamproc.operate.warehouse.connectors import files
from streamproc.operate.warehouse.database import open_database
from streamproc.operate.warehouse.namespace import need_namespace
from streamproc.operate.warehouse.views import make_views
from streamproc.settings import WarehouseSettings

NAMES = ("angry", "turned", "coverage", "slowest", "dead")
FIRST_ROW = "Kafka Connect makes each table with its first row, and nothing has come yet that is one"
MAKER = (
    "Views are made by a user who may make them in warehouse.namespace, by asking once; whoever may read tables and "
    "views may ask from then on"
)
ADVICE: Mapping[type[psycopg.Error], str] = {
    psycopg.errors.InsufficientPrivilege: MAKER,
    psycopg.errors.DependentObjectsStillExist: "A view has other columns now; take away what you built on it",
}
OTHERWISE = "The tables are not as the connectors of this version make them (docs/downstream.md)"
ABSENT: Mapping[type[psycopg.Error], str] = {
    psycopg.errors.InsufficientPrivilege: MAKER,
    psycopg.errors.UndefinedColumn: OTHERWISE,
}
"""Why one question has no answer, while others may have theirs."""
UNREADABLE = "A value is beyond what can be shown here; `psql` shows it (docs/downstream.md)"


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
    """Ask, over views that are made where they are missing. What needs one that is not there says so.

    Raises UsageError for a user who may not ask, or may ask nothing of it before somebody else has, where all of it
    needs tables of another kind, and for a schema that is not there; DependencyDownError.
    """
    wanted = questions(names)
    try:
        with open_database(settings) as database:
            database.execute(sql.SQL("set search_path to {}").format(sql.Identifier(settings.namespace)))
            need_namespace(database, settings)
            left = make_views(database)
            answers = [_answer(database, question, left) for question in wanted]
    except psycopg.OperationalError as error:
        raise DependencyDownError("warehouse", f"{settings.address} (warehouse.address): {_first(error)}") from error
    except psycopg.Error as error:
        advice = next((said for kind, said in ADVICE.items() if isinstance(error, kind)), OTHERWISE)
        raise UsageError(f"the warehouse refuses: {_first(error)}. {advice}") from error
    if answers and all(one.missing and one.missing.endswith((MAKER, OTHERWISE)) for one in answers):
        raise UsageError(f"the warehouse has no answer: {answers[0].missing}")
    return answers


def _first(error: psycopg.Error) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _answer(
    database: "psycopg.Connection[tuple[Any, ...]]", question: Question, left: Mapping[str, psycopg.Error]
) -> Answer:
    try:
        cursor = database.execute(question.statement.encode())
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        cause = next((left[name] for name in left if name in question.statement), error)
        why = next((said for kind, said in ABSENT.items() if isinstance(cause, kind)), FIRST_ROW)
        return Answer(question, (), (), f"{_first(cause)}. {why}")
    columns = tuple(column.name for column in cursor.description or ())
    try:
        return Answer(question, columns, tuple(cursor.fetchall()))
    except psycopg.DataError as error:  # a time that is good in PostgreSQL, and past all years that Python knows
        return Answer(question, (), (), f"{_first(error)}. {UNREADABLE}")
