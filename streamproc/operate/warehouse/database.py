"""The database of the warehouse, as analysts reach it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from streamproc.errors import DependencyDownError, UsageError
from streamproc.settings import WarehouseSettings

CONNECT_S = 10


@contextmanager
def open_database(settings: WarehouseSettings) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
    """A connection on which each statement is a transaction of its own. Raises DependencyDownError, UsageError."""
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
        where = f"{settings.address} (warehouse.address, .user, .password, .database)"
        raise DependencyDownError("warehouse", f"{where}: {' '.join(str(error).split())}") from error
    with connection:
        yield connection
