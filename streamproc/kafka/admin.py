"""Topics: made when they are missing, checked when they are there, never changed."""

import logging
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.config import client_config
from streamproc.kafka.errors import Decision, decide, describe
from streamproc.records.topics import TopicSpec, topic_specs
from streamproc.settings import Settings

_TIMEOUT_S = 15.0


def create_topics(settings: Settings) -> tuple[str, ...]:
    """Make every topic that is missing; the names of those made.

    Raises UsageError naming each existing topic that would break a guarantee, and how; DependencyDownError.
    """
    specs = topic_specs(settings.topics)
    admin = AdminClient(client_config(settings), logger=logging.getLogger("librdkafka"))
    try:
        there = set(admin.list_topics(timeout=_TIMEOUT_S).topics)
        made = _create(admin, [spec for spec in specs if spec.name not in there], settings.topics.replication_factor)
        problems = tuple(_problems(admin, [spec for spec in specs if spec.name not in made]))
    except KafkaException as raised:
        error: KafkaError = raised.args[0]
        if decide(error) in {Decision.DOWN, Decision.AGAIN}:
            raise DependencyDownError("kafka", describe(error)) from raised
        raise UsageError(f"the topics cannot be made: {describe(error)}") from raised
    if problems:
        raise UsageError("topics are not what they have to be:\n  " + "\n  ".join(problems))
    return made


def _create(admin: AdminClient, specs: Iterable[TopicSpec], replication: int) -> tuple[str, ...]:
    missing = [NewTopic(s.name, s.partitions, replication, config=dict(s.config)) for s in specs]
    if not missing:
        return ()
    made = []
    for name, future in admin.create_topics(missing, operation_timeout=_TIMEOUT_S).items():
        try:
            future.result()
        except KafkaException as raised:
            if raised.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was faster; it gets checked
                raise
        else:
            made.append(name)
    return tuple(made)


def _problems(admin: AdminClient, specs: Iterable[TopicSpec]) -> Iterable[str]:
    known = {spec.name: spec for spec in specs}
    if not known:
        return
    partitions = {name: len(topic.partitions) for name, topic in admin.list_topics(timeout=_TIMEOUT_S).topics.items()}
    futures = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in known])
    for resource, future in futures.items():
        spec = known[resource.name]
        config = {key: entry.value for key, entry in future.result(_TIMEOUT_S).items()}
        yield from (f"{spec.name} {problem}" for problem in find_problems(spec, partitions[spec.name], config))


def find_problems(spec: TopicSpec, partitions: int, config: Mapping[str, str]) -> Iterable[str]:
    """What about an existing topic would break a guarantee; retention is its owner's choice."""
    if partitions != spec.partitions:
        yield f"has {partitions} partitions, the settings say {spec.partitions}"
    if config["cleanup.policy"] != spec.config["cleanup.policy"]:
        yield f"has cleanup.policy={config['cleanup.policy']}, which drops records; it has to be delete"
    if int(config["max.message.bytes"]) < spec.max_message_bytes:
        yield f"has max.message.bytes={config['max.message.bytes']}; it has to be at least {spec.max_message_bytes}"
