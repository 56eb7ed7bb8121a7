"""Results reach PostgreSQL through a real Kafka Connect: each id once, each value equal, whatever is killed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.schema_registry import Schema

from streamproc.kafka.own_schemas import look_up_outputs
from streamproc.kafka.registry import connect
from streamproc.local.failure import ProgramMissingError
from streamproc.operate.warehouse.apply import Change, apply, look
from streamproc.records.avro import schema_of
from streamproc.records.result import EmotionResult
from streamproc.records.topics import subject
from streamproc.settings import Settings
from tests.programs import missing
from tools.warehouse.load import Writer
from tools.warehouse.rows import NEW, Encoder, next_version
from tools.warehouse.servers import Servers, open_servers
from tools.warehouse.table import open_table

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
