"""What the connectors' user may do in the warehouse: PostgreSQL is asked, nothing is tried."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.operate.warehouse.connectors import connectors
from streamproc.settings import Settings

_SCHEMA = """
select has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE') from pg_namespace where nspname = %s
"""
_TABLES = """
select relname, has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'),
  has_table_privilege(c.oid, 'UPDATE'), pg_has_role(relowner, 'USAGE')
from pg_class c join pg_namespace n on n.oid = relnamespace
where nspname = %s and relname = any(%s) order by relname
"""
_NEEDED = ("select from", "insert into", "update")


@dataclass(frozen=True, slots=True)
class Rights:
    """As of one moment."""

    schema: bool
    """Whether the schema is there."""
    tables: int
    """Of ours, that are there; each is made with its first row."""
    lacks: Sequence[str]
    """What it may not do and has to, in SQL's words."""
    foreign: Sequence[str]
    """Tables that it may write and does not own."""


def rights(settings: Settings) -> Rights:
    """Of ``warehouse.user`` in ``warehouse.namespace``. Raises UsageError, DependencyDownError."""
    namespace = settings.warehouse.namespace
    wanted = [one.config["collection.name.format"].rpartition(".")[2] for one in connectors(settings)]
    from streamproc.operate.warehouse.database import open_database  # noqa: PLC0415  # it needs an extra

    with open_database(settings.warehouse) as database:
        schema = database.execute(_SCHEMA.encode(), (namespace,)).fetchone()
        tables = database.execute(_TABLES.encode(), (namespace, wanted)).fetchall()
    if schema is None:
        return Rights(schema=False, tables=0, lacks=(), foreign=())
    usage, create = schema
    lacks = [] if usage else [f"use schema {namespace}"]
    if not create and len(tables) < len(wanted):
        lacks.append(f"create tables in schema {namespace}")
    for name, *may, _ in tables:
        lacks += (f"{what} {namespace}.{name}" for what, granted in zip(_NEEDED, may, strict=True) if not granted)
    foreign = [name for name, *_, owns in tables if not owns]
    return Rights(schema=True, tables=len(tables), lacks=lacks, foreign=foreign)
