"""Results reach PostgreSQL through a real Kafka Connect: each id once, each value equal, whatever is killed."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema

from streamproc.demo.plan import Announcement
from streamproc.demo.tally import Sent
from streamproc.demo.warehouse import ASKED, DemoWarehouse
from streamproc.errors import PoisonError, Reason, Stage, UsageError
from streamproc.kafka.admin import create_topics
from streamproc.kafka.own_schemas import look_up_outputs, register_schemas
from streamproc.kafka.registry import connect
from streamproc.local.apart import apart
from streamproc.local.failure import ProgramMissingError
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.warehouse.apply import MISSING, Change, apply, look, read_again
from streamproc.operate.warehouse.database import open_database
from streamproc.operate.warehouse.questions import ask
from streamproc.records.avro import schema_of
from streamproc.records.identity import segment_id
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.result import SCORE_COLUMNS, EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.topics import subject
from streamproc.settings import Settings
from tests.programs import missing
from tests.unit.demo.made import dead_letter, result
from tools.warehouse.load import Writer
from tools.warehouse.rows import NEW, Encoder, next_version
from tools.warehouse.servers import Servers, open_servers
from tools.warehouse.table import Table, open_table

RESULTS = 20_000
IN_A_TRANSACTION = 500
AGAIN = 5_000
ABORTED = 300
SOME = 1_000
"""Rows that are there when Connect is killed."""
PATIENCE_S = 180


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    try:
        with open_servers(tmp_path_factory.mktemp("warehouse"), partitions=4) as servers:
            yield servers
    except ProgramMissingError as error:
        missing(str(error))


def ours(settings: Settings) -> Encoder:
    with connect(settings.registry) as registry:
        ids = look_up_outputs(registry, settings.topics)
    return Encoder(schema_of(EmotionResult).text, ids.result_schema_id)


def to_come(settings: Settings) -> Encoder:
    text = next_version()
    with connect(settings.registry) as registry:
        number = registry.register_schema(subject(settings.topics.results), Schema(text, "AVRO"))
    return Encoder(text, number)


def write(writer: Writer, encode: Encoder, numbers: range, *, edition: int = 0, new: bool = False) -> None:
    for first in range(numbers.start, numbers.stop, IN_A_TRANSACTION):
        part = range(first, min(first + IN_A_TRANSACTION, numbers.stop))
        writer.commit(encode, part, edition=edition, new=new)


def bring(writer: Writer, encode: Encoder, table: Table, numbers: range) -> int:
    """Write results that no other test writes and wait for their rows; how many rows there are then."""
    before = table.count() if table.exists() else 0
    writer.commit(encode, numbers)
    table.reach(before + len(numbers), PATIENCE_S)
    return before + len(numbers)


def test_applying_again_changes_nothing_and_a_changed_setting_is_taken(servers: Servers) -> None:
    assert {one.change for one in apply(servers.settings)} == {Change.UNCHANGED}
    topics = servers.settings.topics.model_copy(update={"segments": servers.settings.topics.ledger})
    other = servers.settings.model_copy(update={"topics": topics})
    assert [one.change for one in apply(other)] == [Change.UNCHANGED, Change.UPDATED, Change.UNCHANGED]
    assert [one.change for one in apply(servers.settings)] == [Change.UNCHANGED, Change.UPDATED, Change.UNCHANGED]
    assert all(one.state.running for one in look(servers.settings))


def test_each_result_is_one_row_with_its_values_although_connect_is_killed_twice_and_the_schema_grows(
    servers: Servers,
) -> None:
    settings, half = servers.settings, RESULTS // 2
    writer, old = Writer(settings), ours(settings)
    writer.abort(old, range(RESULTS, RESULTS + ABORTED))
    with ThreadPoolExecutor(1) as beside, open_table(settings) as table:
        writing = beside.submit(write, writer, old, range(half))
        table.reach(SOME, PATIENCE_S)
        servers.kill("connect")
        servers.start_again()
        writing.result()
        new = to_come(settings)
        writing = beside.submit(write, writer, new, range(half, RESULTS), new=True)
        table.reach(half + SOME, PATIENCE_S)
        servers.kill("connect")
        writing.result()
        write(writer, new, range(AGAIN), edition=1, new=True)
        servers.start_again()
        assert len(writer.rows) == RESULTS
        assert table.settled(writer.rows, PATIENCE_S) == []
        assert table.count() == RESULTS
    assert any(row.get(NEW) is not None for row in writer.rows.values())
    assert all(one.state.running for one in look(settings))
    assert servers.dead_letters() == 0


def test_a_connector_that_failed_goes_on_by_itself_once_the_cause_is_healed(servers: Servers) -> None:
    settings = servers.settings
    writer, encode = Writer(settings), ours(settings)
    with open_database(settings.warehouse) as database, open_table(settings) as table:
        before = bring(writer, encode, table, range(RESULTS + 1_000, RESULTS + 1_100))
        database.execute("alter table emotion_results add constraint refusing check (false) not valid")
        writer.commit(encode, range(RESULTS, RESULTS + IN_A_TRANSACTION))
        deadline = time.monotonic() + PATIENCE_S
        while not any(one.state.failed for one in look(settings)):
            assert time.monotonic() < deadline, "nothing failed"
            time.sleep(0.2)
        database.execute("alter table emotion_results drop constraint refusing")
        table.reach(before + IN_A_TRANSACTION, PATIENCE_S)
    assert servers.dead_letters() == 0


def test_rows_that_never_came_come_when_the_topic_is_read_again(servers: Servers) -> None:
    settings = servers.settings
    writer, encode = Writer(settings), ours(settings)
    with open_database(settings.warehouse) as database, open_table(settings) as table:
        before = bring(writer, encode, table, range(RESULTS + 2_000, RESULTS + 2_100))
        database.execute(
            "delete from emotion_results where produced_at > (select min(produced_at) from emotion_results)"
        )
        assert table.count() < before / 2
        read_again(settings, "emotion-results")
        table.reach(before, PATIENCE_S)
        assert table.count() == before


def test_a_connector_that_nobody_has_is_not_read_again(servers: Servers) -> None:
    with pytest.raises(UsageError, match="there is no connector results; there are emotion-results,"):
        read_again(servers.settings, "results")


SENT = [Sent(Announcement(name, "c", "result", "ok", name, f"calls/{name}.wav"), 0, at) for at, name in enumerate("ab")]
NOON = 1_767_268_800_000
"""2026-01-01 12:00 UTC."""


def a_segment(of: EmotionResult, index: int, label: str) -> EmotionSegment:
    scores = dict.fromkeys((f"score_{name}" for name in SCORE_COLUMNS), 0.5)
    return EmotionSegment(
        **scores,
        segment_id=segment_id(of.result_id, index),
        result_id=of.result_id,
        event_id=of.event_id,
        index=index,
        channel=-1,
        start_ms=5_000 * index,
        end_ms=5_000 * (index + 1),
        label=label,
        confidence=0.5,
        level_dbfs=-20.0,
        call_id=of.call_id,
        recorded_at=of.recorded_at,
    )


Headers = list[tuple[str, str | bytes | None]]


def a_dead_letter(settings: Settings, offset: int, reason: Reason) -> tuple[DeadLetter, Headers]:
    origin = settings.topics.recordings
    attempt = Attempt(origin, 3, offset, 1, NOON)
    headers = failure_headers(attempt, PoisonError(reason, Stage.FETCH, "because"))
    letter = dead_letter(SENT[0], reason)
    return replace(letter, topic=origin, partition=3, offset=offset), [("theirs", b"\xff\0"), *headers]


def test_segments_and_dead_letters_are_rows_too_and_every_question_has_its_answer(servers: Servers) -> None:
    demo = DemoWarehouse()
    settings = demo.settings(apart(servers.settings, "demo", 1))
    create_topics(settings)
    with connect(settings.registry) as registry:
        register_schemas(registry, settings.topics)
        codec = look_up_outputs(registry, settings.topics)
    one, other = (result(sent, recorded_at=NOON, segment_count=0) for sent in SENT)
    one = replace(one, label="neutral", call_id="call-1", queue="support", segment_count=3, processing_ms=9)
    other = replace(other, label="angry", processing_ms=70)
    segments = [a_segment(one, at, label) for at, label in enumerate(("neutral", "angry", "angry"))]
    letters = [
        a_dead_letter(settings, offset, reason)
        for offset, reason in enumerate((Reason.OBJECT_MISSING, Reason.AVRO_INVALID, Reason.AVRO_INVALID))
    ]
    demo.begin(settings)
    topics = settings.topics
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "enable.idempotence": True})
    for row in (one, other):
        producer.produce(topics.results, codec.encode(row))
    for segment in segments:
        producer.produce(topics.segments, codec.encode(segment))
    for (_, headers), value in zip(letters, (b"\0garbage", None, b""), strict=True):
        producer.produce(topics.dead_letters, value, b"key", headers=headers)
    assert producer.flush(PATIENCE_S) == 0

    told = demo.answers(settings, [one, other, *(letter for letter, _ in letters)])
    assert [answer.question.name for answer in told] == list(ASKED)
    rows = {answer.question.name: answer.rows for answer in ask(settings.warehouse)}
    noon = datetime(2026, 1, 1, 12)  # noqa: DTZ001  # the tables' times are UTC, without a zone
    assert rows["angry"] == ((noon, "(none)", 1, 1, Decimal(1)), (noon, "support", 1, 0, Decimal(0)))
    assert rows["turned"] == (("call-1", noon, Decimal(5), 2),)
    assert [row[:2] for row in rows["slowest"]] == [(other.object_key, 70), (one.object_key, 9)]
    assert [row[:4] for row in rows["dead"]] == [("avro_invalid", "fetch", 2, 1), ("object_missing", "fetch", 1, 1)]
    assert [row[:5] for row in rows["coverage"]] == [("demo", "f", 2, 2, Decimal(1))]
    demo.end(settings)
    assert {applied.state for applied in look(settings)} == {MISSING}
