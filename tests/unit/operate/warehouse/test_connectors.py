import json
from typing import Any

import pytest

from streamproc.errors import PoisonError, Reason, Stage, UsageError
from streamproc.operate.warehouse.connectors import CONVERTER_URL, Connector, connectors, files
from streamproc.records.lane import Attempt, failure_headers
from streamproc.settings import Settings

DEAD = {"connect_dead_letters": "calls.connect.dead"}
NAMES = ["emotion-results", "emotion-segments", "dead-letters"]


def made(**sections: Any) -> list[Connector]:
    registry = {"url": "http://registry:8080/apis/ccompat/v7"}
    return list(connectors(Settings(**{"registry": registry, **sections})))


def test_every_connector_has_a_file_and_is_made_of_it() -> None:
    found = made()
    assert [one.name for one in found] == NAMES
    for one in found:
        file = json.loads(files().joinpath(f"{one.name}.json").read_text("utf-8"))
        assert set(one.config) == set(file)
        assert {type(value) for value in one.config.values()} == {str}


@pytest.mark.parametrize("name", NAMES)
def test_a_connector_reads_committed_records_only_and_upserts_by_its_key(name: str) -> None:
    (config,) = (one.config for one in made() if one.name == name)
    assert config["consumer.override.isolation.level"] == "read_committed"
    assert config["insert.mode"] == "upsert"
    assert config["primary.key.mode"] == "record_value"


def test_topics_database_and_registry_are_those_of_the_settings() -> None:
    found = made(
        topics={"recordings": "calls", "results": "calls.r", "segments": "calls.s", "ledger": "calls.l", **DEAD},
        warehouse={"address": "db:5433", "database": "calls", "user": "ann", "sslmode": "require"},
        connect={"tasks": 4},
    )
    assert [one.config["topics"] for one in found] == ["calls.r", "calls.s", "calls.dlq"]
    assert {one.config["connection.url"] for one in found} == {"jdbc:postgresql://db:5433/calls?sslmode=require"}
    assert {one.config["tasks.max"] for one in found} == {"4"}
    assert {one.config["connection.username"] for one in found} == {"ann"}
    assert {one.config["errors.deadletterqueue.topic.name"] for one in found} == {"calls.connect.dead"}
    assert {one.config[CONVERTER_URL] for one in found[:2]} == {"http://registry:8080/apis/registry/v2"}


def test_the_password_stands_in_no_connector() -> None:
    found = made(warehouse={"password": "very secret"})
    assert "very secret" not in json.dumps([dict(one.config) for one in found])
    assert {one.config["connection.password"] for one in found} == {"${env:STREAMPROC_WAREHOUSE__PASSWORD}"}


def test_connectors_of_another_namespace_are_others() -> None:
    found = made(warehouse={"namespace": "trial"})
    assert [one.name for one in found] == [f"trial-{name}" for name in NAMES]
    assert [one.config["collection.name.format"] for one in found] == [
        "trial.emotion_results",
        "trial.emotion_segments",
        "trial.dead_letters",
    ]


def test_a_registry_that_is_not_apicurio_needs_the_address_to_be_said() -> None:
    with pytest.raises(UsageError, match="STREAMPROC_CONNECT__REGISTRY_URL"):
        made(registry={"url": "http://registry:8081"})
    found = made(registry={"url": "http://registry:8081"}, connect={"registry_url": "http://other/apis/registry/v2"})
    assert found[0].config[CONVERTER_URL] == "http://other/apis/registry/v2"


@pytest.mark.parametrize(
    "registry",
    [{"url": "http://bob:hunter2@reg:8080/apis/ccompat/v7"}, {"username": "bob", "password": "hunter2"}],
    ids=["in the address", "beside it"],
)
def test_a_registry_with_a_password_is_asked_nothing_by_a_connector(registry: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="no connector may hold") as caught:
        made(registry=registry)
    assert "hunter2" not in str(caught.value)
    assert made(registry=registry, connect={"registry_url": "http://reg:8080/apis/registry/v2"})


def test_a_dead_letter_is_another_one_where_its_topic_was_made_anew() -> None:
    (config,) = (one.config for one in made() if one.name == "dead-letters")
    assert config["primary.key.fields"] == "dead_topic,dead_partition,dead_offset,dead_at"
    places = {config[f"transforms.where.{what}.field"] for what in ("topic", "partition", "offset", "timestamp")}
    assert places == set(config["primary.key.fields"].split(","))


def test_only_what_reads_avro_asks_the_registry() -> None:
    assert [one.name for one in made() if one.asks_registry] == ["emotion-results", "emotion-segments"]


def test_a_dead_letter_without_any_one_of_our_headers_is_refused_before_they_become_columns() -> None:
    (config,) = (one.config for one in made() if one.name == "dead-letters")
    before = config["transforms"].split(",why,")[0].split(",")
    refused = {
        config[f"predicates.{config[f'transforms.{one}.predicate']}.name"]
        for one in before
        if config.get(f"transforms.{one}.negate") == "true"
    }
    written = failure_headers(Attempt("calls", 0, 0, 1, 0), PoisonError(Reason.KEY_INVALID, Stage.FETCH, "because"))
    assert refused == set(config["transforms.why.headers"].split(",")) == {name for name, _ in written}
    assert set(config["predicates"].split(",")) == set(before) - {"value"}
