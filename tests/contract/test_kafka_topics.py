import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.admin import (
    ask_broker,
    ask_retention_ms,
    count_members,
    create_analytics_topics,
    create_topics,
    create_warehouse_topics,
)
from streamproc.kafka.config import client_config
from streamproc.local.kafka import BROKER
from streamproc.records.topics import topic_specs
from streamproc.settings import Settings

pytestmark = pytest.mark.servers
PATIENCE_S = 60.0


@pytest.fixture
def settings(servers: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr("streamproc.kafka.admin._TIMEOUT_S", PATIENCE_S)
    name = f"t-{uuid.uuid4().hex[:12]}"
    topics = servers.topics.model_copy(
        update={
            "recordings": name,
            "results": f"{name}.r",
            "segments": f"{name}.s",
            "ledger": f"{name}.l",
            "partitions": 2,
            "lane_partitions": 1,
        }
    )
    yield servers.model_copy(update={"topics": topics})
    admin = AdminClient(client_config(servers))
    ours = [topic for topic in admin.list_topics(timeout=PATIENCE_S).topics if topic.startswith(name)]
    for future in admin.delete_topics(ours).values() if ours else ():
        future.result(PATIENCE_S)


def test_all_topics_are_made_once(settings: Settings) -> None:
    assert set(ask_broker(settings).missing) == {spec.name for spec in topic_specs(settings.topics)}
    assert set(create_topics(settings)) == {spec.name for spec in topic_specs(settings.topics)}
    assert create_topics(settings) == ()
    assert ask_broker(settings).missing == ()


def test_topics_whose_last_rows_are_enough_are_compacted(settings: Settings) -> None:
    name = settings.topics.recordings
    own = {what: f"{name}.{what}" for what in ("trends", "alerts", "partials")}
    mine = settings.model_copy(update={"topics": settings.topics.model_copy(update=own)})
    assert set(create_analytics_topics(mine)) == set(own.values())
    assert create_analytics_topics(mine) == ()  # what the broker says of them is what was asked for
    admin = AdminClient(client_config(settings))
    (asked,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, own["partials"])]).values()
    config = {name: entry.value for name, entry in asked.result(PATIENCE_S).items()}
    assert (config["segment.ms"], config["min.cleanable.dirty.ratio"]) == ("600000", "0.1")


def test_a_topic_says_how_long_it_keeps_its_records(settings: Settings) -> None:
    create_topics(settings)
    admin = AdminClient(client_config(settings))
    lane, letters = settings.topics.lanes[0], settings.topics.dead_letters
    resource = ConfigResource(ResourceType.TOPIC, lane)
    resource.add_incremental_config(ConfigEntry("retention.ms", "-1", incremental_operation=AlterConfigOpType.SET))
    (altered,) = admin.incremental_alter_configs([resource]).values()
    altered.result(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while lane in (found := ask_retention_ms(settings, [lane, letters])):  # until the broker has heard of it
        assert time.monotonic() < deadline
    assert found == {letters: 30 * 86_400_000}


def test_a_group_that_is_not_there_has_no_members(settings: Settings) -> None:
    assert count_members(settings, "nobody-joined-this") == 0


def test_the_topic_of_what_connectors_cannot_read_is_made_once_and_one_of_connects_own_making_is_taken(
    settings: Settings,
) -> None:
    name = f"{settings.topics.recordings}.connect.dead"
    topics = settings.topics.model_copy(update={"connect_dead_letters": name})
    mine = settings.model_copy(update={"topics": topics})
    assert create_warehouse_topics(mine) == (name,)
    assert create_warehouse_topics(mine) == ()
    theirs = NewTopic(f"{name}.theirs", 1, 1)
    admin = AdminClient(client_config(settings))
    admin.create_topics([theirs])[theirs.topic].result(PATIENCE_S)
    topics = settings.topics.model_copy(update={"connect_dead_letters": theirs.topic})
    assert create_warehouse_topics(settings.model_copy(update={"topics": topics})) == ()


def test_a_topic_that_is_wrong_is_named_and_left_alone(settings: Settings) -> None:
    admin = AdminClient(client_config(settings))
    wrong = NewTopic(settings.topics.dead_letters, 3, 1, config={"cleanup.policy": "compact"})
    for future in admin.create_topics([wrong]).values():
        future.result(PATIENCE_S)
    with pytest.raises(UsageError) as caught:
        create_topics(settings)
    text = str(caught.value)
    assert f"{settings.topics.dead_letters} has 3 partitions, the settings say 1" in text
    assert "cleanup.policy=compact" in text
    assert "has to be at least 1114112" in text


def test_no_broker_is_a_dependency_down(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.kafka.admin._TIMEOUT_S", 0.5)
    nowhere = settings.model_copy(
        update={"kafka": settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})}
    )
    with pytest.raises(DependencyDownError):
        create_topics(nowhere)


def of_group(settings: Settings, group: str) -> Settings:
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"group": group})})


def test_the_broker_says_how_long_a_session_lasts_also_before_its_group_is_there(settings: Settings) -> None:
    mine = of_group(settings, settings.topics.recordings)
    assert ask_broker(mine).session_s == int(str(BROKER["group.consumer.session.timeout.ms"])) / 1000


def test_a_group_whose_session_was_changed_has_that_one(settings: Settings) -> None:
    mine = of_group(settings, settings.topics.recordings)
    admin = AdminClient(client_config(mine))
    session = ConfigEntry("consumer.session.timeout.ms", "7500", incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ResourceType.GROUP, mine.kafka.group, incremental_configs=[session])
    for future in admin.incremental_alter_configs([changed]).values():
        future.result(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while ask_broker(mine).session_s != 7.5:  # the broker takes a moment to hear of it
        assert time.monotonic() < deadline
        time.sleep(0.1)
