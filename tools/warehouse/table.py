"""What is in a table of the warehouse, against what has to be."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from streamproc.operate.warehouse.database import open_database
from streamproc.settings import Settings
from tools.warehouse.rows import Row


@dataclass(frozen=True, slots=True)
class Kind:
    """A table, and the column that its rows are told apart by."""

    name: str
    key: str


RESULTS = Kind("emotion_results", "result_id")
SEGMENTS = Kind("emotion_segments", "segment_id")
LETTERS = Kind("dead_letters", "origin_offset")
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the table's times have no zone, they are UTC
POLL_S, SOON_S = 0.5, 0.02
MOST_SHOWN = 5


class Table:
    """The table, read by one connection."""

    def __init__(self, database: "psycopg.Connection[tuple[Any, ...]]", kind: Kind) -> None:
        self._database = database
        self._kind = kind

    def exists(self) -> bool:
        """Whether the sink has made it."""
        return bool(self._one("select to_regclass(%s) is not null", self._kind.name))

    def count(self) -> int:
        """How many rows it has."""
        return int(self._one(self._of("select count(*) from {}")))

    def count_until(self, until_ms: int) -> int:
        """How many rows it has of results that left until a moment."""
        moment = EPOCH + timedelta(milliseconds=until_ms)
        return int(self._one("select count(*) from emotion_results where produced_at <= %s", moment))

    def empty(self) -> None:
        """Take every row out of it."""
        self._database.execute(self._of("truncate {}"))

    def watch(self) -> None:
        """From now on rows remember when they first came, in a column that the sink knows nothing of."""
        self._database.execute("alter table emotion_results add column landed_at timestamptz default clock_timestamp()")
        self._database.execute("update emotion_results set landed_at = null")

    def seconds(self) -> Mapping[str, float]:
        """From a result, as it is made, to its row: p50, p95 and the longest, of the rows that came since ``watch``."""
        found = self._database.execute(
            "select percentile_disc(array[0.5, 0.95, 1]) within group (order by "
            "extract(epoch from landed_at - produced_at at time zone 'UTC')) from emotion_results "
            "where landed_at is not null"
        ).fetchone()
        if found is None or found[0] is None:
            raise ValueError("no row came since the watch began")
        return dict(zip(("p50", "p95", "longest"), map(float, found[0]), strict=True))

    def problems(self, expected: Mapping[Any, Row]) -> list[str]:
        """Everything that is not as it has to be; at most a few are spelt out."""
        cursor = self._database.execute(self._of("select * from {}"))
        names = [column.name for column in cursor.description or ()]
        wanted = {name for row in expected.values() for name in row}
        if missing := sorted(wanted.difference(names)):
            return [f"{self._kind.name} has no column {', '.join(missing)}"]
        rows = [dict(zip(names, values, strict=True)) for values in cursor]
        found = {row[self._kind.key]: row for row in rows}
        wrong = [f"{len(rows) - len(found)} rows are there twice"] if len(rows) > len(found) else []
        wrong += [f"{one} is not there" for one in expected if one not in found]
        wrong += [f"{one} is there and was never committed" for one in found if one not in expected]
        for one in expected.keys() & found.keys():
            wrong += [f"{one}: {told}" for told in _differences(expected[one], found[one], wanted)]
        return wrong[:MOST_SHOWN] + ([f"and {len(wrong) - MOST_SHOWN} more"] if len(wrong) > MOST_SHOWN else [])

    def reach(self, rows: int, timeout_s: float, until_ms: int | None = None) -> None:
        """Return once there are so many rows, or so many of results that left until a moment. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not self.exists() or (self.count() if until_ms is None else self.count_until(until_ms)) < rows:
            if time.monotonic() > deadline:
                raise TimeoutError(f"there are not {rows} rows after {timeout_s} s")
            time.sleep(SOON_S)

    def settled(self, expected: Mapping[Any, Row], timeout_s: float) -> list[str]:
        """``problems``, asked until there are none or the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            wrong = self.problems(expected) if self.exists() and self.count() >= len(expected) else ["rows are missing"]
            if not wrong or time.monotonic() > deadline:
                return wrong
            time.sleep(POLL_S)

    def _of(self, question: LiteralString) -> sql.Composed:
        return sql.SQL(question).format(sql.Identifier(self._kind.name))

    def _one(self, question: LiteralString | sql.Composed, *values: object) -> Any:
        found = self._database.execute(question, values).fetchone()
        return found[0] if found else None


@contextmanager
def open_table(settings: Settings, kind: Kind = RESULTS) -> Iterator[Table]:
    """One of the tables."""
    with open_database(settings.warehouse) as database:
        yield Table(database, kind)


def _differences(row: Row, found: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        there = found[name]
        if isinstance(there, datetime):
            there = (there - EPOCH) // timedelta(milliseconds=1)
        if there != row.get(name):
            yield f"{name} is {there!r}, not {row.get(name)!r}"
