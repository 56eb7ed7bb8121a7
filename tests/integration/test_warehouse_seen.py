"""What status, watch and doctor tell of a real Kafka Connect, registry and PostgreSQL, whatever these do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import psycopg
import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from pydantic import SecretStr

from streamproc.errors import UsageError
from streamproc.kafka.config import client_config
from streamproc.kafka.own_schemas import look_up_outputs
from streamproc.kafka.registry import connect as connect_registry
from streamproc.local.failure import ProgramMissingError
from streamproc.operate.doctor import connect, warehouse
from streamproc.operate.doctor.examine import Examined, examine
from streamproc.operate.doctor.finding import Verdict
from streamproc.operate.warehouse.apply import apply
from streamproc.operate.warehouse.aside import PutAside, aside
from streamproc.operate.warehouse.database import open_database
from streamproc.operate.warehouse.rest import Connect, open_connect
from streamproc.operate.warehouse.rights import rights
from streamproc.operate.warehouse.status import Status, status
from streamproc.records.avro import frame, schema_of
from streamproc.records.ledger import LedgerEntry
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from streamproc.telemetry.clock import SystemClock
from tests.programs import missing
from tools.warehouse.load import Writer
from tools.warehouse.rows import Encoder
from tools.warehouse.servers import Servers, open_servers

PATIENCE_S = 120
PARTITIONS = 2
ROWS = 50
RESULTS = "emotion-results"
TABLES = 3


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    try:
        with open_servers(tmp_path_factory.mktemp("seen"), PARTITIONS) as servers:
            yield servers
    except ProgramMissingError as error:
        missing(str(error))


@pytest.fixture
def settings(servers: Servers) -> Settings:
    """Those of a stack of which everything runs."""
    until(lambda: seen(servers.settings).well)
    return servers.settings


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.3)


def seen(settings: Settings) -> Status:
    return status(settings, SystemClock().wall_ms())


def write(settings: Settings, numbers: range) -> None:
    with connect_registry(settings.registry) as registry:
        ids = look_up_outputs(registry, settings.topics)
    Writer(settings).commit(Encoder(schema_of(EmotionResult).text, ids.result_schema_id), numbers)


def produce(settings: Settings, topic: str, *values: bytes | None) -> None:
    producer = Producer(client_config(settings))
    for value in values:
        producer.produce(topic, value, b"k", 0)
    assert producer.flush(PATIENCE_S) == 0


def put_aside(settings: Settings, after: int, most: int) -> list[PutAside]:
    """What came there behind so many, once there are so many more."""
    until(lambda: aside(settings, 0).ever >= after + most)
    return list(aside(settings, most).newest)


@contextmanager
def stopped(settings: Settings, name: str) -> Iterator[Connect]:
    """A connector without tasks."""
    with open_connect(settings.connect) as rest:
        rest.stop(name)
        until(lambda: not (state := rest.state(name)) or not state.tasks)
        try:
            yield rest
        finally:
            rest.resume(name)


def figures(servers: Servers) -> dict[str, float]:
    """What the watch shows at /metrics, by name and connector."""
    (address,) = (server.address for server in servers.stack.servers if server.name == "watch")
    text = httpx2.get(f"http://{address}/metrics", trust_env=False, timeout=PATIENCE_S).text
    return {
        "/".join((sample.name.removeprefix("streamproc_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def examined(settings: Settings) -> list[Examined]:
    return list(examine([connect.check(settings, SystemClock()), warehouse.check(settings)]))


def changed(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update={"warehouse": settings.warehouse.model_copy(update=values)})


def test_a_connector_is_behind_by_what_it_has_not_done_and_by_nothing_once_it_has(settings: Settings) -> None:
    with stopped(settings, RESULTS):
        write(settings, range(ROWS))
        time.sleep(1.1)
        until(lambda: all(one.lag is not None and one.lag.records == 0 for one in seen(settings).connectors[1:]))
        behind = seen(settings).connectors[0].lag
        assert behind is not None
        assert ROWS <= behind.records <= ROWS + PARTITIONS  # a mark of the transaction is on each partition
        assert behind.records == sum(behind.behind.values())
        assert set(behind.behind) <= {f"{settings.topics.results}/{number}" for number in range(PARTITIONS)}
        assert 1 < behind.seconds < PATIENCE_S
        (told, _) = examined(settings)
        assert told.verdict is Verdict.WRONG
        assert told.says == f"not running: {RESULTS}"
    until(lambda: all(one.lag is not None and one.lag.records == 0 for one in seen(settings).connectors))


def test_what_was_put_aside_is_told_in_words_that_say_what_it_is(settings: Settings) -> None:
    topics, before = settings.topics, aside(settings, 0).ever
    with connect_registry(settings.registry) as registry:
        codec = look_up_outputs(registry, topics)
    ledger = codec.encode(LedgerEntry("0", "t", 0, 1, 2, 1, 1, 0, "d", 5))
    produce(settings, topics.results, b"text", b"", frame(999_999, b"\0"), ledger, ledger[:6], None)
    told = put_aside(settings, before, 6)
    assert [one.why for one in told] == [
        "it is no Avro as ours is: a zero and the number of its schema do not come first",
        "it is empty: not a byte",
        "the registry has no schema 999999, which it names",
        "it has no result_id",
        f"its bytes are not those of schema {int.from_bytes(ledger[1:5])}, which it names",
        "it is a tombstone: it has no value",
    ]
    assert {one.connector for one in told} == {RESULTS}
    assert {one.origin.rpartition("/")[0] for one in told} == {f"{topics.results}/0"}
    produce(settings, topics.dead_letters, b"foreign")
    (letter,) = put_aside(settings, before + 6, 1)
    assert (letter.why, letter.connector) == ("it has no header sp-version", "dead-letters")
    listed = seen(settings).aside
    assert listed is not None
    assert listed.kept == before + 7
    # Offsets of the sink stay in front of them where they follow a row, which is not told as being behind.
    until(lambda: all(one.lag is not None and one.lag.records == 0 for one in seen(settings).connectors))


def test_records_that_went_aside_without_the_registry_are_told_as_such(servers: Servers, settings: Settings) -> None:
    with stopped(settings, RESULTS):
        write(settings, range(ROWS, ROWS + 2))
        before = aside(settings, 0).ever
        servers.kill("registry")
    for one in put_aside(settings, before, 2):
        assert one.why.startswith("the registry did not answer when it was asked for schema")
        assert one.advice.endswith(f"`streamproc connect reread {RESULTS}`")
    servers.start_again()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"password": SecretStr("guessed")}, 'password authentication failed for user "streamproc"'),
        ({"database": "nope"}, 'database "nope" does not exist'),
        ({"sslmode": "require"}, "server does not support SSL"),
    ],
)
def test_a_wrong_setting_is_not_a_server_that_is_away(settings: Settings, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says), open_database(changed(settings, **wrong).warehouse):
        pass


def test_the_watch_shows_connectors_behind_and_a_warehouse_and_a_connect_that_are_away(
    servers: Servers, settings: Settings
) -> None:
    until(lambda: figures(servers)["warehouse_down"] == 0 and figures(servers)[f"connector_lag_records/{RESULTS}"] == 0)
    assert figures(servers)[f"connector_running/{RESULTS}"] == 1
    until(lambda: figures(servers)["connectors_put_aside_records"] == aside(settings, 0).ever)
    servers.kill("postgres")
    assert "does not answer" in seen(settings).login.problem
    write(settings, range(2 * ROWS, 3 * ROWS))
    until(lambda: figures(servers)[f"connector_lag_records/{RESULTS}"] >= ROWS)
    assert figures(servers)[f"connector_lag_seconds/{RESULTS}"] > 0
    until(lambda: figures(servers)["warehouse_down"] == 1)
    servers.kill("connect")
    until(lambda: figures(servers)[f"connector_running/{RESULTS}"] == 0)
    servers.start_again()
    until(lambda: figures(servers)[f"connector_running/{RESULTS}"] == 1)
    until(lambda: figures(servers)[f"connector_lag_records/{RESULTS}"] == 0)


def test_the_doctor_finds_nothing_wrong_where_all_is_well(settings: Settings) -> None:
    assert {one.check: one.verdict for one in examined(settings)} == {
        "connect": Verdict.WELL,
        "warehouse": Verdict.WELL,
    }


def test_the_doctor_finds_each_fault_of_rights(settings: Settings) -> None:
    def found(**values: object) -> tuple[Verdict, str]:
        _, one = examined(changed(settings, **values))
        return one.verdict, one.says

    write(settings, range(1))
    until(lambda: rights(settings).tables == TABLES)
    assert found(namespace="nope")[1].startswith("there is no schema nope in")
    with open_database(settings.warehouse) as database:
        grant(database, "create role reader login password 'r'")
        try:
            grant(database, "grant select on all tables in schema public to reader")
            reader = {"user": "reader", "password": SecretStr("r")}
            assert found(**reader) == (Verdict.WRONG, "reader may not insert into public.dead_letters")
            grant(database, "grant insert, update on all tables in schema public to reader")
            assert found(**reader)[0] is Verdict.DOUBTFUL  # it owns none
            grant(database, "create schema empty")
            grant(database, "grant usage on schema empty to reader")
            assert found(**reader, namespace="empty") == (Verdict.WRONG, "reader may not create tables in schema empty")
        finally:
            grant(database, "drop schema if exists empty")
            grant(database, "drop owned by reader")
            grant(database, "drop role reader")


def grant(database: "psycopg.Connection[tuple[object, ...]]", statement: str) -> None:
    database.execute(sql.SQL(statement))


def test_the_doctor_finds_connectors_of_other_settings_and_none(settings: Settings) -> None:
    one, _ = examined(changed(settings, sslmode="disable"))
    assert (one.verdict, one.says.partition(":")[0]) == (Verdict.DOUBTFUL, "other settings than these")
    one, _ = examined(changed(settings, namespace="odd"))
    assert (one.verdict, one.says.partition(":")[0]) == (Verdict.WRONG, "not there")


# The last one: the sink tries a login for 30 s, and so the way back takes as long.
def test_a_login_that_is_refused_is_told_in_postgresqls_words(settings: Settings) -> None:
    refused = 'FATAL: password authentication failed for user "stranger"'
    hurried = settings.model_copy(update={"connect": settings.connect.model_copy(update={"timeout_s": 3})})
    strange = changed(hurried, user="stranger")
    told = [one.state.problem or "" for one in apply(strange)]
    assert [refused in problem for problem in told] == [True] * 3
    looks: list[Status] = []  # of one look all: by the next one a task may have been started once more

    def told_of_all() -> bool:
        looks.append(seen(strange))
        return all(
            problem.startswith("it cannot log in") and refused in problem
            for problem in (one.problem or "" for one in looks[-1].connectors)
        )

    until(told_of_all)
    assert not looks[-1].well
    assert "although this program can" in (seen(settings).connectors[0].problem or "")
