"""Rows under way to PostgreSQL while one server after the other goes away."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamproc.kafka.own_schemas import look_up_outputs
from streamproc.kafka.registry import connect
from streamproc.operate.warehouse.apply import look
from streamproc.operate.warehouse.reread import read_again
from streamproc.records.avro import schema_of
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from tools.warehouse.load import Writer
from tools.warehouse.rows import Encoder, Row
from tools.warehouse.servers import Servers, open_servers
from tools.warehouse.table import LETTERS, RESULTS, SEGMENTS, Kind, open_table

OUTAGES = ("postgres", "registry", "connect")
A_SECOND = 120
IN_A_TRANSACTION = 30
QUIET_S = 20.0
"""Before the first outage, and between them."""
PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Outage:
    """One server that was away."""

    server: str
    away_s: float
    rows_before: int
    behind: int
    """Results that were committed and had no row when the server was back."""
    caught_up_s: float
    """From its return until every result committed by then had its row."""
    states: Mapping[str, str]
    """Of the connectors, after that."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One table."""

    name: str
    committed: int
    rows: int
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it."""

    tables: Sequence[Counted]
    outages: Sequence[Outage]
    dead_letters: int
    running: bool
    """Whether all connectors do, without a hand."""
    quiet: Mapping[str, float]
    """Seconds from a result to its row before the first outage."""
    whole: Mapping[str, float]
    """The same, outages included."""
    restarts: int
    """Tasks that the watch started again."""
    again_s: float
    """Until the table of results, emptied, was whole again by `connect reread`, the task's start included."""
    wall_s: float

    @property
    def good(self) -> bool:
        """Whether everything committed is one row, and nothing needed help."""
        whole = all(one.rows == one.committed and not one.problems for one in self.tables)
        return whole and self.running and not self.dead_letters


class Load:
    """Results at a steady rate, from a thread of their own until ``stop``."""

    def __init__(self, settings: Settings) -> None:
        with connect(settings.registry) as registry:
            ids = look_up_outputs(registry, settings.topics)
        self._encode = Encoder(schema_of(EmotionResult).text, ids.result_schema_id)
        self.writer = Writer(settings)
        self._stop = threading.Event()

    def run(self) -> None:
        """Write until stopped."""
        number, due = 0, time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self.writer.commit(self._encode, range(number, number + IN_A_TRANSACTION))
            number += IN_A_TRANSACTION
            due += IN_A_TRANSACTION / A_SECOND

    def stop(self) -> None:
        """Let the transaction that is open be the last."""
        self._stop.set()


def run(folder: Path, away_s: float, tell: Callable[[str], None]) -> Run:
    """Start servers, write, take one server away after the other. Raises LocalError, TimeoutError."""
    began = time.monotonic()
    with open_servers(folder, partitions=4) as servers, ThreadPoolExecutor(1) as beside:
        load = Load(servers.settings)
        writing = beside.submit(load.run)
        try:
            quiet = _watch(servers.settings)
            outages = [_outage(servers, load, server, away_s, tell) for server in OUTAGES]
        finally:
            load.stop()
        writing.result()
        tables = [
            _counted(servers.settings, kind, expected)
            for kind, expected in (
                (RESULTS, load.writer.rows), (SEGMENTS, load.writer.segments), (LETTERS, load.writer.letters)
            )
        ]  # fmt: skip
        with open_table(servers.settings) as table:
            whole = table.seconds()
        running = all(one.state.running for one in look(servers.settings))
        return Run(
            tables=tables,
            outages=outages,
            dead_letters=servers.dead_letters(),
            running=running,
            quiet=quiet,
            whole=whole,
            restarts=servers.restarts(),
            again_s=_read_again(servers.settings, len(load.writer.rows)),
            wall_s=time.monotonic() - began,
        )


def _counted(settings: Settings, kind: Kind, expected: Mapping[Any, Row]) -> Counted:
    with open_table(settings, kind) as table:
        problems = table.settled(expected, PATIENCE_S)
        return Counted(kind.name, len(expected), table.count(), problems)


def _read_again(settings: Settings, rows: int) -> float:
    """Empty the table of results and fill it again; the seconds that took."""
    with open_table(settings) as table:
        table.empty()
        began = time.monotonic()
        read_again(settings, "emotion-results", lambda _place: None)
        table.reach(rows, PATIENCE_S)
    return time.monotonic() - began


def _watch(settings: Settings) -> Mapping[str, float]:
    """Seconds from a result to its row while nothing is wrong."""
    with open_table(settings) as table:
        table.reach(1, PATIENCE_S)
        table.watch()
        time.sleep(QUIET_S)
        return table.seconds()


def _outage(servers: Servers, load: Load, server: str, away_s: float, tell: Callable[[str], None]) -> Outage:
    with open_table(servers.settings) as table:
        rows = table.count()
    gone = time.monotonic()
    servers.kill(server)
    time.sleep(away_s)
    servers.start_again()
    back = time.monotonic()
    committed = list(load.writer.rows.values())
    last_ms = max(row["produced_at"] for row in committed)
    with open_table(servers.settings) as table:
        behind = max(0, len(committed) - table.count_until(last_ms))
        table.reach(len(committed), PATIENCE_S, last_ms)
    caught_up_s = time.monotonic() - back
    states = {one.name: "/".join((one.state.connector, *one.state.tasks)) for one in look(servers.settings)}
    outage = Outage(server, back - gone, rows, behind, caught_up_s, states)
    tell(f"{outage}")
    time.sleep(QUIET_S)
    return outage
