"""The demo's results on their way to a database, in a namespace of the demo's own."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from streamproc.demo.tally import End
from streamproc.errors import StreamprocError, UsageError
from streamproc.local.server import Recipe
from streamproc.local.stack import WAREHOUSE
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.warehouse.answer import Answer
from streamproc.operate.warehouse.apply import apply_whole
from streamproc.operate.warehouse.database import open_database
from streamproc.operate.warehouse.questions import ask
from streamproc.operate.warehouse.remove import remove
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings, WarehouseSettings

NAMESPACE = "demo"
DEAD = f"{NAMESPACE}.connect.dead"
MADE = "made, and dropped again, by streamproc demo --warehouse"
"""What is said of the namespace by whoever may drop it."""
ASKED = ("angry", "turned", "dead")
PATIENCE_S = 120
"""Connect that starts beside everything else took 10 s."""
POLL_S = 0.2

COUNTS = {
    "emotion_results": "select count(*) from emotion_results where result_id = any(%s)",
    "emotion_segments": "select count(*) from emotion_segments where result_id = any(%s)",
    "dead_letters": "select count(*) from dead_letters where origin_topic || '/' || origin_partition || '/' || "
    "origin_offset = any(%s)",
}


class NoRowError(StreamprocError):
    """Raised when rows stay away."""


class DemoWarehouse:
    """From the first connector to the last answer."""

    recipes: Sequence[Recipe] = WAREHOUSE

    def settings(self, settings: Settings) -> Settings:
        """The settings with a namespace of the demo's own, and a topic for what its connectors cannot read."""
        warehouse = settings.warehouse.model_copy(update={"namespace": NAMESPACE})
        topics = settings.topics.model_copy(update={"connect_dead_letters": DEAD})
        return settings.model_copy(update={"warehouse": warehouse, "topics": topics})

    def begin(self, settings: Settings) -> None:
        """Clear what another demo has left, and start connectors.

        Raises DependencyDownError, NotRunningError; UsageError where the namespace is somebody else's.
        """
        with open_database(settings.warehouse) as database:
            clear(database, settings.warehouse)
        remove(settings)
        apply_whole(settings)

    def answers(self, settings: Settings, ends: Sequence[End]) -> Sequence[Answer]:
        """Wait until everything that ended is a row, then ask. Raises NoRowError."""
        _await_rows(settings.warehouse, ends)
        return ask(settings.warehouse, ASKED)

    def end(self, settings: Settings) -> None:
        """Take the demo's connectors away; its tables stay."""
        remove(settings)


def clear(database: "psycopg.Connection[tuple[Any, ...]]", settings: WarehouseSettings) -> None:
    """Make the namespace anew. Raises UsageError for one that no demo has made: nothing of it is touched."""
    name = sql.Identifier(settings.namespace)
    found = database.execute(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s", (settings.namespace,)
    ).fetchone()
    if found is not None and found[0] != MADE:
        raise UsageError(
            f"{settings.address} has a schema {settings.namespace} that is not the demo's, which would drop it: "
            "let the demo have another database (warehouse.database), or rename that schema"
        )
    database.execute(sql.SQL("drop schema if exists {} cascade").format(name))
    database.execute(sql.SQL("create schema {}").format(name))
    database.execute(sql.SQL("comment on schema {} is {}").format(name, sql.Literal(MADE)))


def _await_rows(settings: WarehouseSettings, ends: Sequence[End]) -> None:
    results = {end.result_id: end for end in ends if isinstance(end, EmotionResult)}
    letters = [f"{end.topic}/{end.partition}/{end.offset}" for end in ends if isinstance(end, DeadLetter)]
    segments = sum(end.segment_count for end in results.values())
    expected = {
        "emotion_results": (list(results), len(results)),
        "emotion_segments": (list(results), segments),
        "dead_letters": (letters, len(letters)),
    }
    deadline = time.monotonic() + PATIENCE_S
    with open_database(settings) as database:
        database.execute(sql.SQL("set search_path to {}").format(sql.Identifier(settings.namespace)))
        while missing := _missing(database, expected):
            if time.monotonic() > deadline:
                told = ", ".join(f"{count} of {table}" for table, count in missing.items())
                raise NoRowError(f"rows stay away since {PATIENCE_S} s: {told}. The log of Kafka Connect says why")
            time.sleep(POLL_S)


def _missing(
    database: "psycopg.Connection[tuple[Any, ...]]", expected: Mapping[str, tuple[list[str], int]]
) -> Mapping[str, int]:
    """How many rows of each table are not there yet."""
    found = {}
    for table, (keys, count) in expected.items():
        try:
            row = database.execute(COUNTS[table].encode(), (keys,)).fetchone()
        except psycopg.errors.UndefinedTable:  # it comes with its first row
            row = None
        if (left := count - (row[0] if row else 0)) > 0:
            found[table] = left
    return found
