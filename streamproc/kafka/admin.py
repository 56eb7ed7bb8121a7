"""Topics: made when they are missing, checked when they are there, never changed. What a broker says at a start."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from streamproc.errors import UsageError
from streamproc.kafka.config import build, client_config
from streamproc.kafka.errors import away, describe, fatal, passes
from streamproc.records.topics import TopicSpec, analytics_specs, topic_specs, warehouse_specs
from streamproc.settings import Settings
from streamproc.telemetry.log import get_log

T = TypeVar("T")

_log = get_log(__name__)
_TIMEOUT_S = 15.0
_WAIT_S = 0.2
_SESSION = "consumer.session.timeout.ms"
_RETENTION = "retention.ms"
_ASK_S = 5.0
"""What a broker that is there is given for an answer. Whoever asked may ask again."""


def create_topics(settings: Settings) -> tuple[str, ...]:
    """Make every topic of the workers that is missing; the names of those made.

    Raises UsageError naming each existing topic that would break a guarantee, and how; DependencyDownError.
    """
    return _make(settings, topic_specs(settings.topics))


def create_analytics_topics(settings: Settings) -> tuple[str, ...]:
    """The same for those of the analytics app."""
    return _make(settings, analytics_specs(settings.topics))


def create_warehouse_topics(settings: Settings) -> tuple[str, ...]:
    """The same for those of the connectors."""
    return _make(settings, warehouse_specs(settings.topics))


def _make(settings: Settings, specs: Sequence[TopicSpec]) -> tuple[str, ...]:
    """Make those that are missing, and check the others.

    Raises UsageError naming each existing topic that would break a guarantee, and how; DependencyDownError.
    """
    admin = build(AdminClient, client_config(settings))
    try:
        # Again while a broker has not heard of a topic that another has just made.
        return _again(settings, lambda: _create_or_check(admin, specs, settings.topics.replication_factor))
    except KafkaException as raised:
        raise UsageError(f"the topics cannot be made: {describe(raised.args[0])}") from raised


@dataclass(frozen=True, slots=True)
class Answer:
    """What a broker says to a worker that starts."""

    missing: tuple[str, ...]
    """Topics of ours that it does not have, or does not show us."""
    session_s: float | None
    """After how many seconds of silence it takes a member of our group for dead; None where it does not say."""


def ask_broker(settings: Settings) -> Answer:
    """Ask what a worker has to know before it starts; blocks a few seconds at most.

    Raises DependencyDownError while no broker answers, FatalError for a refusal.
    """
    admin = build(AdminClient, client_config(settings))
    try:
        there = admin.list_topics(timeout=min(_ASK_S, settings.worker.start_wait_s)).topics
    except KafkaException as raised:
        if passes(raised):
            raise away(settings.kafka.bootstrap_servers, describe(raised.args[0])) from raised
        raise fatal("the brokers do not list their topics", raised.args[0]) from raised
    missing = tuple(spec.name for spec in topic_specs(settings.topics) if spec.name not in there)
    if settings.kafka.group_protocol == "classic":
        return Answer(missing, settings.kafka.session_timeout_s)
    return Answer(missing, _ask_session_s(admin, settings.kafka.group))


def ask_retention_ms(settings: Settings, topics: Collection[str]) -> Mapping[str, int]:
    """How long topics keep their records, of those that have an end and whose settings we may see.

    Raises DependencyDownError.
    """
    admin = build(AdminClient, client_config(settings))

    def ask(topic: str) -> int:
        asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)], request_timeout=_ASK_S)
        (future,) = asked.values()
        return int(future.result(_ASK_S + _WAIT_S)[_RETENTION].value)

    found = {}
    for topic in topics:
        try:
            found[topic] = _again(settings, partial(ask, topic))
        except KafkaException as raised:
            detail = describe(raised.args[0])
            _log.warning("the broker does not say how long it keeps records", topic=topic, detail=detail)
    return {topic: kept_ms for topic, kept_ms in found.items() if kept_ms >= 0}


@dataclass(frozen=True, slots=True)
class Group:
    """Who reads together."""

    members: int
    protocol: str
    """What they joined by, under which others of them have to; empty while nobody did."""


def ask_group(settings: Settings, group: str) -> Group:
    """What a group is now. Raises DependencyDownError, UsageError for a refusal."""
    admin = build(AdminClient, client_config(settings))

    def ask() -> Group:
        (future,) = admin.describe_consumer_groups([group], request_timeout=_ASK_S).values()
        found = future.result(_ASK_S + _WAIT_S)
        return Group(len(found.members), found.partition_assignor or "")

    try:
        return _again(settings, ask)
    except KafkaException as raised:
        if raised.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return Group(0, "")
        raise UsageError(f"the broker does not say who is in group {group}: {describe(raised.args[0])}") from raised


def count_members(settings: Settings, group: str) -> int:
    """How many members a group has now. Raises DependencyDownError, UsageError for a refusal."""
    return ask_group(settings, group).members


def _again(settings: Settings, ask: Callable[[], T]) -> T:
    """Ask until there is an answer, for a while. Raises DependencyDownError, KafkaException for a refusal."""
    retrying = Retrying(retry=retry_if_exception(passes), stop=stop_after_delay(_TIMEOUT_S), wait=wait_fixed(_WAIT_S))
    try:
        return retrying(ask)
    except RetryError as error:
        raise away(settings.kafka.bootstrap_servers, str(error.last_attempt.exception())) from error


def _ask_session_s(admin: AdminClient, group: str) -> float | None:
    """What is the broker's to set with the ``consumer`` protocol. None when it does not say, which a warning tells."""
    try:
        (asked,) = admin.describe_configs([ConfigResource(ResourceType.GROUP, group)], request_timeout=_ASK_S).values()
        return int(asked.result(_ASK_S + _WAIT_S)[_SESSION].value) / 1000
    except KafkaException as raised:
        detail = describe(raised.args[0])
    except (KeyError, TimeoutError) as error:
        detail = f"{type(error).__name__}: {error}"
    _log.warning("the broker does not say how long a session lasts", dependency="kafka", detail=detail)
    return None


def _create_or_check(admin: AdminClient, specs: Sequence[TopicSpec], replication: int) -> tuple[str, ...]:
    there = set(admin.list_topics(timeout=_TIMEOUT_S).topics)
    made = _create(admin, [spec for spec in specs if spec.name not in there], replication)
    if problems := tuple(_problems(admin, [spec for spec in specs if spec.name not in made])):
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
        if spec.name not in partitions:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, spec.name))
        yield from (f"{spec.name} {problem}" for problem in find_problems(spec, partitions[spec.name], config))


def find_problems(spec: TopicSpec, partitions: int, config: Mapping[str, str]) -> Iterable[str]:
    """What about an existing topic would break a guarantee; retention is its owner's choice."""
    if partitions != spec.partitions:
        yield f"has {partitions} partitions, the settings say {spec.partitions}"
    wanted = spec.config["cleanup.policy"]
    if not _words(config["cleanup.policy"]) <= _words(wanted):
        yield f"has cleanup.policy={config['cleanup.policy']}, which drops records; it has to be {wanted}"
    if int(config["max.message.bytes"]) < spec.max_message_bytes:
        yield f"has max.message.bytes={config['max.message.bytes']}; it has to be at least {spec.max_message_bytes}"


def _words(policy: str) -> set[str]:
    return set(policy.split(","))
