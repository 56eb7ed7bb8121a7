"""Views over the warehouse's tables: made where they are missing or of another version, else left alone."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from streamproc.operate.warehouse.connectors import files

LOCK = 0x73_74_72_65_61_6D
"""Of PostgreSQL's advisory locks: two that make the same view at once would hinder each other."""
WIDENED, TABLE = "results_newest", "emotion_results"
"""The view that has each column of this table, which widens with its schema."""
_NAME = re.compile(r"create or replace view (\w+)")


@dataclass(frozen=True, slots=True)
class View:
    """One view: its name, and what makes it."""

    name: str
    statement: str

    @property
    def mark(self) -> str:
        """What is said of the view in the database, by which it is known again."""
        return f"made by streamproc, version {hashlib.sha256(self.statement.encode()).hexdigest()[:16]}"


def views() -> Sequence[View]:
    """Every view, those that others need first."""
    text = files().joinpath("views.sql").read_text("utf-8")
    statements = [statement for statement in text.split(";\n") if statement.strip()]
    return [View(found[1], statement) for statement in statements if (found := _NAME.search(statement))]


def make_views(database: "psycopg.Connection[tuple[Any, ...]]") -> Mapping[str, psycopg.Error]:
    """Make the views that are missing or of another version, but for those whose tables or columns are not there.

    Who may only read asks what is there. What could not be made, by its name, with what the database said of it. Raises
    psycopg.Error.
    """
    left: dict[str, psycopg.Error] = {}
    if any(_differs(database, view) for view in views()):
        with database.transaction():
            database.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
            for view in views():
                if _differs(database, view):
                    try:
                        with database.transaction():
                            _make(database, view)
                    except psycopg.errors.InsufficientPrivilege as error:
                        left[view.name] = error
                    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
                        # A table, a column of it, or a view that could not be made either.
                        left[view.name] = next((left[name] for name in left if name in view.statement), error)
    if 0 < _columns(database, WIDENED) < _columns(database, TABLE):
        with suppress(psycopg.errors.InsufficientPrivilege):
            _make(database, next(view for view in views() if view.name == WIDENED))
    return left


def _make(database: "psycopg.Connection[tuple[Any, ...]]", view: View) -> None:
    name = sql.Identifier(view.name)
    try:
        with database.transaction():
            database.execute(view.statement.encode())
    except psycopg.errors.InvalidTableDefinition:  # other columns, which cannot be replaced
        database.execute(sql.SQL("drop view {}").format(name))
        database.execute(view.statement.encode())
    database.execute(sql.SQL("comment on view {} is {}").format(name, sql.Literal(view.mark)))


def _differs(database: "psycopg.Connection[tuple[Any, ...]]", view: View) -> bool:
    there = database.execute("select obj_description(to_regclass(%s), 'pg_class')", (view.name,)).fetchone()
    return there != (view.mark,)


def _columns(database: "psycopg.Connection[tuple[Any, ...]]", name: str) -> int:
    counted = database.execute(
        "select count(*) from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
        (name,),
    ).fetchone()
    return int(counted[0]) if counted else 0
