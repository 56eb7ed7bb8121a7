"""The database of the warehouse, as analysts reach it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from streamproc.errors import DependencyDownError, DependencyRefusesError, StreamprocError, UsageError
from streamproc.settings import WarehouseSettings

NAME = "warehouse"
CONNECT_S = 10
_BUSY = re.compile(
    r"too many|connection slots|starting up|shutting down|recovery mode|not accepting|terminating", re.IGNORECASE
)
"""PostgreSQL lets nobody in just now. A login that is refused has no code yet, so its words have to tell."""
_WRONG = re.compile(r"FATAL|SSL(?! SYSCALL| connection has been closed)|certificate|password|authentication|GSS")
"""Somebody answered: PostgreSQL, or our client about what it said. A connection that was cut says SSL too."""
_HINT = re.compile(r"\s*Is the server running [^?]*\?")


@contextmanager
def open_database(settings: WarehouseSettings) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
    """A connection on which each statement is a transaction of its own.

    Raises UsageError for a login that is refused, DependencyDownError, of that DependencyRefusesError while PostgreSQL
    lets nobody in.
    """
    host, mark, port = settings.address.rpartition(":")
    if not mark or not port.isdecimal():
        raise UsageError(f"warehouse.address is {settings.address}: give it as host:port")
    try:
        connection = psycopg.connect(
            host=host,
            port=int(port),
            dbname=settings.database,
            user=settings.user,
            password=settings.password.get_secret_value() or None,
            sslmode=settings.sslmode,
            connect_timeout=CONNECT_S,
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        said = _HINT.sub("", str(error)).removeprefix("connection failed: ")
        raise _meaning(settings, host, " ".join(said.split())) from error
    with connection:
        yield connection


def _meaning(settings: WarehouseSettings, host: str, said: str) -> StreamprocError:
    where = f"{settings.address} (warehouse.address)"
    words = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w.-])", "", said)
    if _BUSY.search(words):
        return DependencyRefusesError(NAME, f"{where}: {said}")
    if _WRONG.search(words):
        return UsageError(
            f"the warehouse at {where} lets nobody in with these settings: {said}. Look at warehouse.user, .password, "
            ".database and .sslmode"
        )
    return DependencyDownError(NAME, f"{where}: {said}")
