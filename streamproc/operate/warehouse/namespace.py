"""The schema of PostgreSQL that the tables are in, which connectors do not make."""

from typing import Any

import psycopg

from streamproc.errors import DependencyDownError, UsageError
from streamproc.operate.warehouse.database import open_database
from streamproc.settings import WarehouseSettings


class NoNamespaceError(UsageError):
    """Raised where the database is there and the schema is not."""

    def __init__(self, settings: WarehouseSettings) -> None:
        name = settings.namespace
        super().__init__(
            f"the database {settings.database} has no schema {name} (warehouse.namespace). Connectors do not make it: "
            f"`create schema {name}` by a user who may, then `streamproc connect apply`"
        )


def need_namespace(database: "psycopg.Connection[tuple[Any, ...]]", settings: WarehouseSettings) -> None:
    """Raise NoNamespaceError, psycopg.Error."""
    if database.execute("select 1 from pg_namespace where nspname = %s", (settings.namespace,)).fetchone() is None:
        raise NoNamespaceError(settings)


def told_namespace(settings: WarehouseSettings) -> str | None:
    """What is wrong with it, as far as this computer is let into the database; None where nothing is, or it is not."""
    try:
        with open_database(settings) as database:
            need_namespace(database, settings)
    except NoNamespaceError as error:
        return str(error)
    except (DependencyDownError, UsageError, psycopg.Error):
        return None  # why it is not let in is no answer to this question
    return None
