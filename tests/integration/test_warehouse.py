"""Results reach PostgreSQL through a real Kafka Connect: each id once, each value equal, whatever is killed."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.schema_registry import Schema
from psycopg import sql

from streamproc.demo.plan import Announcement
from streamproc.demo.tally import Sent
from streamproc.demo.warehouse import ASKED, DemoWarehouse
from streamproc.errors import PoisonError, Reason, Stage, UsageError
from streamproc.kafka.admin import create_topics
from streamproc.kafka.config import client_config
from streamproc.kafka.own_schemas import look_up_outputs, register_schemas
from streamproc.kafka.registry import connect
from streamproc.local.apart import apart
from streamproc.local.failure import ProgramMissingError
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.place import Place
from streamproc.operate.warehouse.apply import MISSING, Change, apply, look
from streamproc.operate.warehouse.database import open_database
from streamproc.operate.warehouse.questions import ask
from streamproc.operate.warehouse.remove import others
from streamproc.operate.warehouse.reread import read_again
from streamproc.operate.warehouse.rest import open_connect
from streamproc.operate.warehouse.skip import pass_over
from streamproc.operate.warehouse.skipped import skipped
from streamproc.records.avro import frame, schema_of
from streamproc.records.identity import segment_id
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.ledger import LedgerEntry
from streamproc.records.record import TopicPartition
from streamproc.records.result import SCORE_COLUMNS, EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.topics import subject
from streamproc.settings import Settings
from tests.programs import missing
from tests.unit.demo.made import dead_letter, result
from tools.warehouse.load import Writer
from tools.warehouse.rows import NEW, Encoder, Row, make_letter, make_row, next_version
from tools.warehouse.servers import Servers, open_servers
from tools.warehouse.table import LETTERS, SEGMENTS, Table, open_table

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


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.2)


def produce(settings: Settings, topic: str, *records: tuple[bytes, Sequence[tuple[str, bytes | None]]]) -> list[Place]:
    """Write records with their headers to the first partition; where they are."""
    producer = Producer({**client_config(settings), "enable.idempotence": True})
    places: list[Place] = []

    def delivered(error: object, message: Message) -> None:
        assert error is None
        places.append(Place(TopicPartition(topic, message.partition() or 0), message.offset() or 0))

    for value, headers in records:
        producer.produce(topic, value, b"k", 0, headers=list(headers), on_delivery=delivered)
    assert producer.flush(PATIENCE_S) == 0
    return places


def untold(_place: Place) -> None:
    """What is passed over again."""


def refused(settings: Settings, place: Place, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        pass_over(settings, "emotion-results", [place])


def failed(settings: Settings) -> bool:
    return any(one.state.failed for one in look(settings))


def row_of(database: "psycopg.Connection[tuple[Any, ...]]", asked: str, row: Row) -> tuple[Any, ...] | None:
    return database.execute(asked.encode(), (row["result_id"],)).fetchone()


def test_applying_again_changes_nothing_and_a_changed_setting_is_taken(servers: Servers) -> None:
    assert {one.change for one in apply(servers.settings)} == {Change.UNCHANGED}
    topics = servers.settings.topics.model_copy(update={"segments": servers.settings.topics.ledger})
    other = servers.settings.model_copy(update={"topics": topics})
    assert [one.change for one in apply(other)] == [Change.UNCHANGED, Change.UPDATED, Change.UNCHANGED]
    assert [one.change for one in apply(servers.settings)] == [Change.UNCHANGED, Change.UPDATED, Change.UNCHANGED]
    assert all(one.state.running for one in look(servers.settings))


def test_a_changed_setting_with_which_nothing_can_run_is_told(servers: Servers) -> None:
    settings = servers.settings
    warehouse = settings.warehouse.model_copy(update={"user": "stranger"})
    hurried = settings.connect.model_copy(update={"timeout_s": 5})
    told = apply(settings.model_copy(update={"warehouse": warehouse, "connect": hurried}))
    assert {one.change for one in told} == {Change.UPDATED}
    assert not any(one.state.running for one in told)
    assert all('password authentication failed for user "stranger"' in (one.state.problem or "") for one in told)
    assert {one.change for one in apply(settings)} == {Change.UPDATED}
    assert all(one.state.running for one in look(settings))


def test_no_connector_is_made_for_a_schema_of_postgresql_that_is_not_there(servers: Servers) -> None:
    warehouse = servers.settings.warehouse.model_copy(update={"namespace": "nowhere"})
    with pytest.raises(UsageError, match=r"has no schema nowhere \(warehouse\.namespace\)"):
        apply(servers.settings.model_copy(update={"warehouse": warehouse}))
    assert others(servers.settings) == []


def test_each_result_is_one_row_with_its_values_although_connect_is_killed_twice_and_the_schema_grows(
    servers: Servers,
) -> None:
    settings, half, dead = servers.settings, RESULTS // 2, servers.dead_letters()
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
    with open_table(settings, SEGMENTS) as table:
        assert table.settled(writer.segments, PATIENCE_S) == []
        assert table.count() == RESULTS
    with open_table(settings, LETTERS) as table:
        assert table.settled(writer.letters, PATIENCE_S) == []
        assert table.count() == (RESULTS + AGAIN) / IN_A_TRANSACTION
    assert any(row.get(NEW) is not None for row in writer.rows.values())
    assert all(one.state.running for one in look(settings))
    assert servers.dead_letters() == dead


def test_what_the_converter_or_the_key_refuses_is_put_aside_and_stops_nothing(servers: Servers) -> None:
    settings, dead = servers.settings, servers.dead_letters()
    writer, encode = Writer(settings), ours(settings)
    with connect(settings.registry) as registry:
        ledger = look_up_outputs(registry, settings.topics).encode(LedgerEntry("0", "t", 0, 1, 2, 1, 1, 0, "d", 5))
    produce(settings, settings.topics.results, (b"\0garbage", ()), (frame(999_999, b"\0"), ()), (ledger, ()))
    with open_table(settings) as table:
        bring(writer, encode, table, range(RESULTS + 3_000, RESULTS + 3_100))
    until(lambda: servers.dead_letters() >= dead + 3)  # they are on partitions of their own, and may be read last
    assert servers.dead_letters() == dead + 3
    assert all(one.state.running for one in look(settings))


def test_dead_letters_of_connectors_are_not_none_where_there_is_no_topic_for_them(servers: Servers) -> None:
    topics = servers.settings.topics.model_copy(update={"connect_dead_letters": "nowhere"})
    with pytest.raises(KeyError, match="nowhere"):
        replace(servers, settings=servers.settings.model_copy(update={"topics": topics})).dead_letters()


def test_a_record_that_ends_its_connector_each_time_can_be_skipped(servers: Servers) -> None:
    settings, topic = servers.settings, servers.settings.topics.dead_letters
    _, headers = make_letter(settings.topics, 1, NOON)
    with open_table(settings, LETTERS) as table:
        before = table.count() if table.exists() else 0
        # Headers of one name are a list in Kafka; the sink knows no such thing.
        (place,) = produce(settings, topic, (b"x", [*headers, ("theirs", b"1"), ("theirs", b"2")]))
        until(lambda: any(one.state.failed for one in look(settings)))
        (after,) = produce(settings, topic, (b"x", headers))
        assert after.partition == place.partition
        assert pass_over(settings, "dead-letters", [place]).skipped == [place]
        table.reach(before + 1, PATIENCE_S)
        assert table.count() == before + 1
    until(lambda: all(one.state.running for one in look(settings)))


def test_headers_that_a_producer_calls_as_ours_end_nothing_and_ours_are_the_row(servers: Servers) -> None:
    settings, topic = servers.settings, servers.settings.topics.dead_letters
    _, headers = make_letter(settings.topics, 2, NOON)
    with open_database(settings.warehouse) as database, open_table(settings, LETTERS) as table:
        before, restarts = table.count() if table.exists() else 0, servers.restarts()
        theirs = [("sp-attempts", b"99"), ("sp-version", b"9"), ("sp-version", b"8")]
        _, place = produce(settings, topic, (b"x", headers), (b"x", [*theirs, *headers]))
        table.reach(before + 2, PATIENCE_S)
        asked = "select attempts, version from dead_letters where dead_partition = %s and dead_offset = %s"
        row = database.execute(asked, (place.partition.partition, place.offset)).fetchone()
    assert row == (int(dict(headers)["sp-attempts"] or 0), (dict(headers)["sp-version"] or b"").decode())
    assert servers.restarts() == restarts


def test_exactly_what_ends_a_connector_is_skipped_and_again_when_the_topic_is_read_again_until_it_is_healed(
    servers: Servers,
) -> None:
    settings, encode = servers.settings, ours(servers.settings)
    rows = [make_row(number, 0, NOON, new=False) for number in range(RESULTS + 5_000, RESULTS + 5_006)]
    ids = [row["result_id"] for row in rows]
    with open_database(settings.warehouse) as database, open_table(settings) as table:
        before = bring(Writer(settings), encode, table, range(RESULTS + 5_100, RESULTS + 5_110))
        add = "alter table emotion_results add constraint refusing check (result_id not in ({})) not valid"
        names = sql.SQL(", ").join(map(sql.Literal, (ids[2], ids[4])))
        database.execute(sql.SQL(add).format(names))
        values = [encode(row) for row in rows]
        values.insert(4, b"put aside")  # behind what was written, and in front of what ends it
        at = produce(settings, settings.topics.results, *((value, ()) for value in values))
        at.pop(4)
        until(lambda: failed(settings))
        refused(settings, at[1], f"{at[1]} is read without an error, and what ends it is {at[2]}; nothing was skipped")
        refused(settings, Place(at[0].partition, at[0].offset + 1_000), "there is no record at")
        assert table.count() == before + 2
        passed = pass_over(settings, "emotion-results", [at[2]])
        assert passed.skipped == [at[2]]
        until(lambda: failed(settings))
        refused(settings, at[2], f"has read {at[2]} already: what it reads next is")
        assert pass_over(settings, "emotion-results", [at[4]]).skipped == [at[4]]
        table.reach(before + 4, PATIENCE_S)

        again: list[Place] = []
        database.execute("delete from emotion_results where result_id = any(%s)", (ids,))
        read_again(settings, "emotion-results", again.append)
        assert again == [at[2], at[4]]
        table.reach(before + 4, PATIENCE_S)
        assert table.count() == before + 4
        assert {one.change for one in apply(settings)} == {Change.UNCHANGED}

        database.execute("alter table emotion_results drop constraint refusing")
        read_again(settings, "emotion-results", again.append)
        assert len(again) == 2
        table.reach(before + 6, PATIENCE_S)
    with open_connect(settings.connect) as connect:
        assert skipped(connect.config("emotion-results") or {}) == []
        assert not any("trial" in name for name in connect.names())


def test_a_database_that_refuses_everything_is_no_reason_to_skip(servers: Servers) -> None:
    settings, encode = servers.settings, ours(servers.settings)
    with open_database(settings.warehouse) as database, open_table(settings) as table:
        before = bring(Writer(settings), encode, table, range(RESULTS + 6_000, RESULTS + 6_010))
        database.execute("alter table emotion_results add constraint refusing check (false) not valid")
        rows = [make_row(number, 0, NOON, new=False) for number in range(RESULTS + 6_100, RESULTS + 6_103)]
        at = produce(settings, settings.topics.results, *((encode(row), ()) for row in rows))
        until(lambda: failed(settings))
        refused(settings, at[0], f"ends at {at[1]} too, behind {at[0]}: is any record at fault")
        database.execute("alter table emotion_results drop constraint refusing")
        table.reach(before + 3, PATIENCE_S)


def test_the_last_record_of_its_partition_is_not_skipped_where_nothing_shows_that_it_is_at_fault(
    servers: Servers,
) -> None:
    settings, encode = servers.settings, ours(servers.settings)
    with open_database(settings.warehouse) as database, open_table(settings) as table:
        before = bring(Writer(settings), encode, table, range(RESULTS + 6_200, RESULTS + 6_210))
        database.execute("alter table emotion_results add constraint refusing check (false) not valid")
        row = make_row(RESULTS + 6_300, 0, NOON, new=False)
        (last,) = produce(settings, settings.topics.results, (encode(row), ()))
        until(lambda: failed(settings))
        refused(settings, last, f"{last} ends it, and is the last of its partition.*nothing was skipped")
        database.execute("alter table emotion_results drop constraint refusing")
        table.reach(before + 1, PATIENCE_S)


def test_a_writer_of_before_leaves_what_it_does_not_know(servers: Servers) -> None:
    settings, number = servers.settings, RESULTS + 4_001  # of these no value is null
    writer, old, new = Writer(settings), ours(settings), to_come(settings)
    with open_database(settings.warehouse) as database, open_table(settings) as table:
        before = table.count() if table.exists() else 0
        writer.commit(new, [number], new=True)
        table.reach(before + 1, PATIENCE_S)
        (later,) = writer.rows.values()
        writer.commit(old, [number], edition=1)
        (now,) = writer.rows.values()
        asked = f"select {NEW}, codec, duration_ms from emotion_results where result_id = %s"  # noqa: S608  # our own word
        until(lambda: row_of(database, asked, now) != (later[NEW], later["codec"], later["duration_ms"]))
        row = row_of(database, asked, now)
    assert row == (later[NEW], now["codec"], now["duration_ms"])


def test_a_connector_that_failed_goes_on_by_itself_once_the_cause_is_healed(servers: Servers) -> None:
    settings, dead = servers.settings, servers.dead_letters()
    writer, encode = Writer(settings), ours(settings)
    with open_database(settings.warehouse) as database, open_table(settings) as table:
        before = bring(writer, encode, table, range(RESULTS + 1_000, RESULTS + 1_100))
        database.execute("alter table emotion_results add constraint refusing check (false) not valid")
        writer.commit(encode, range(RESULTS, RESULTS + IN_A_TRANSACTION))
        until(lambda: any(one.state.failed for one in look(settings)))
        database.execute("alter table emotion_results drop constraint refusing")
        table.reach(before + IN_A_TRANSACTION, PATIENCE_S)
    assert servers.dead_letters() == dead


def test_rows_that_never_came_come_when_the_topic_is_read_again(servers: Servers) -> None:
    settings = servers.settings
    writer, encode = Writer(settings), ours(settings)
    with open_database(settings.warehouse) as database, open_table(settings) as table:
        before = bring(writer, encode, table, range(RESULTS + 2_000, RESULTS + 2_100))
        database.execute(
            "delete from emotion_results where produced_at > (select min(produced_at) from emotion_results)"
        )
        assert table.count() < before / 2
        read_again(settings, "emotion-results", untold)
        table.reach(before, PATIENCE_S)
        assert table.count() == before


def test_a_connector_that_nobody_has_is_not_read_again(servers: Servers) -> None:
    with pytest.raises(UsageError, match="there is no connector results; there are emotion-results,"):
        read_again(servers.settings, "results", untold)


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
    one = one._replace(label="neutral", call_id="call-1", queue="support", segment_count=3, processing_ms=9)
    other = other._replace(label="angry", processing_ms=70)
    segments = [a_segment(one, at, label) for at, label in enumerate(("neutral", "angry", "angry"))]
    letters = [
        a_dead_letter(settings, offset, reason)
        for offset, reason in enumerate((Reason.OBJECT_MISSING, Reason.AVRO_INVALID, Reason.AVRO_INVALID))
    ]
    demo.begin(settings)
    topics = settings.topics
    # The transform keeps what it makes of the first record: one with some of our headers would stand for all.
    foreign = [("sp-version", b"1")], [("sp-reason", b"theirs"), ("sp-stage", b"theirs")]
    produce(settings, topics.dead_letters, *((b"foreign", headers) for headers in foreign))
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
    assert rows["turned"] == ((None, "call-1", -1, noon, Decimal(5), 2),)
    assert [row[:2] for row in rows["slowest"]] == [(other.object_key, 70), (one.object_key, 9)]
    assert [row[:4] for row in rows["dead"]] == [("avro_invalid", "fetch", 2, 1), ("object_missing", "fetch", 1, 1)]
    assert [row[:5] for row in rows["coverage"]] == [("demo", "f", 2, 2, Decimal(1))]
    assert replace(servers, settings=settings).dead_letters() == len(foreign)
    assert [one.name for one in others(servers.settings)] == sorted(one.name for one in look(settings))
    demo.end(settings)
    assert others(servers.settings) == []
    assert {applied.state for applied in look(settings)} == {MISSING}
