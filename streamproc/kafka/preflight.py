"""What brokers say and allow, asked before a worker starts. Nothing of it is left behind."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicCollection, libversion
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from streamproc.errors import DependencyDownError
from streamproc.kafka.admin import find_problems
from streamproc.kafka.config import ClientConfig, build, client_config, transactional_config
from streamproc.kafka.errors import CAUSES, away, describe, passes, reported
from streamproc.records.topics import TopicSpec
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock

T = TypeVar("T")

TRIAL = "doctor"
"""Takes the place of a worker's slot in a transactional id, so that no worker is fenced."""
_MARGIN_S = 0.5
"""An answer that comes when its request timed out tells more than the end of waiting for it."""
_WAIT_S = 0.1
_STAMPS = "message.timestamp.type"
_LONGEST = "transaction.max.timeout.ms"
_OVERDUE = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
_FORBIDDEN = frozenset({KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED})
_HIDDEN = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED})


@dataclass(frozen=True, slots=True)
class Cluster:
    """Who answered."""

    brokers: tuple[str, ...]
    """host:port of each that is in the cluster."""
    limits: "Limits | None"
    """None where we may not read the brokers' configuration."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What brokers hold transactions to."""

    longest_transaction_s: float
    """What a broker takes at most as a producer's transaction timeout."""
    overdue_s: float
    """How often it looks for transactions that are over theirs."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic as it is."""

    name: str
    partitions: int
    replicas: int
    """The fewest of any partition."""
    config: Mapping[str, str] | None
    """None where we may not read it."""

    @property
    def retention_ms(self) -> float:
        """How long records are kept; infinite where they are kept for ever, or nobody says."""
        kept = -1 if self.config is None else int(self.config["retention.ms"])
        return float("inf") if kept < 0 else kept

    def unstamped(self, spec: TopicSpec) -> bool:
        """Whether the broker is to stamp records with its own clock, and does not."""
        kept = None if self.config is None else self.config[_STAMPS]
        return kept is not None and spec.stamped and kept != spec.config[_STAMPS]

    def problems(self, spec: TopicSpec) -> Sequence[str]:
        """What would break a guarantee, as far as it may be known."""
        config = spec.config if self.config is None else self.config
        return tuple(find_problems(spec, self.partitions, config))


class Preflight:
    """Questions to the brokers of the settings, of which each request may take ``within_s``. Used by one thread.

    Every method raises DependencyDownError while nobody answers, FatalError for a refusal.
    """

    def __init__(self, settings: Settings, within_s: float) -> None:
        self._settings = settings
        self._within_s = within_s
        self._told: list[KafkaError] = []
        self._admin = build(AdminClient, ClientConfig({**client_config(settings), "error_cb": self._told.append}))

    def cluster(self) -> Cluster:
        """Who is there."""
        found = self._answer(lambda: self._admin.describe_cluster(request_timeout=self._within_s))
        (config,) = self._configs(ResourceType.BROKER, [str(found.nodes[0].id)]).values()
        brokers = sorted(f"{node.host}:{node.port}" for node in found.nodes)
        limits = None if config is None else Limits(int(config[_LONGEST]) / 1000, int(config[_OVERDUE]) / 1000)
        return Cluster(tuple(brokers), limits)

    def topics(self, names: Collection[str]) -> Mapping[str, TopicState]:
        """Those that are there, of these."""
        with reported("the list of topics"):
            listed = self._admin.list_topics(timeout=self._within_s).topics
        there = [name for name in names if name in listed and listed[name].error is None]
        configs = self._configs(ResourceType.TOPIC, there)
        replicas = {name: [len(one.replicas) for one in listed[name].partitions.values()] for name in there}
        return {name: TopicState(name, len(replicas[name]), min(replicas[name]), configs[name]) for name in there}

    def allowed(self, topics: Collection[str]) -> Mapping[str, frozenset[str]]:
        """What we may do with each of these topics, in the brokers' words, as in ``WRITE``: they ask their authorizer.

        Nothing with one that is not there, or not shown to us.
        """
        asked = self._admin.describe_topics(
            TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=self._within_s
        )
        return {name: self._operations(future) for name, future in asked.items()}

    def allowed_group(self) -> frozenset[str]:
        """The same of the group."""
        group = self._settings.kafka.group
        found = self._answer(
            lambda: self._admin.describe_consumer_groups(
                [group], include_authorized_operations=True, request_timeout=self._within_s
            )[group]
        )
        return frozenset(operation.name for operation in found.authorized_operations)

    def try_transactions(self) -> None:
        """Become a producer of transactions, under an id that no worker has. None is begun."""
        ident = f"{self._settings.kafka.transactional_prefix}-{TRIAL}"
        producer = build(Producer, transactional_config(self._settings, ident))
        with reported(f"the transactional id {ident}"):
            producer.init_transactions(self._within_s)

    def ahead_ms(self, clock: Clock) -> int:
        """How far the broker's clock is ahead of ``clock``, at least; 0 where no difference can be told.

        A topic is made for two records that the broker stamps, and deleted: nothing else of it tells the time.
        """
        name = f"{self._settings.topics.recordings}.{TRIAL}-{uuid.uuid4().hex[:8]}"
        stamped = NewTopic(name, 1, config={"message.timestamp.type": "LogAppendTime"})
        self._answer(lambda: self._admin.create_topics([stamped], request_timeout=self._within_s)[name])
        try:
            producer = build(Producer, client_config(self._settings))
            self._stamp(producer, name)  # finds out who leads the new topic, so that the next is quick
            before = clock.wall_ms()
            stamp = self._stamp(producer, name)
            after = clock.wall_ms()
        finally:
            self._answer(lambda: self._admin.delete_topics([name], request_timeout=self._within_s)[name])
        return max(0, stamp - after) or min(0, stamp - before)

    def _stamp(self, producer: Producer, topic: str) -> int:
        told: list[tuple[KafkaError | None, int]] = []

        def note(error: KafkaError | None, message: "Message[bytes, bytes]") -> None:
            told.append((error, message.timestamp()[1]))

        producer.produce(topic, b"", partition=0, on_delivery=note)
        producer.flush(self._within_s)
        if not told:
            raise away(self._settings.kafka.bootstrap_servers, f"a record was not taken within {self._within_s:g} s")
        error, stamp_ms = told[0]
        with reported("a record that the broker stamps"):
            if error is not None:
                raise KafkaException(error)
        return stamp_ms

    def _operations(self, future: "Future[Any]") -> frozenset[str]:
        with reported("what may be done with a topic"):
            try:
                found = self._wait(future)
            except KafkaException as raised:
                if raised.args[0].code() in _HIDDEN:
                    return frozenset()
                raise
        return frozenset(operation.name for operation in found.authorized_operations)

    def _configs(self, kind: ResourceType, names: Collection[str]) -> Mapping[str, Mapping[str, str] | None]:
        """By name; None where we may not read it."""
        if not names:
            return {}
        asked = self._admin.describe_configs(
            [ConfigResource(kind, name) for name in names], request_timeout=self._within_s
        )
        return {resource.name: self._config(future) for resource, future in asked.items()}

    def _config(self, future: "Future[Any]") -> Mapping[str, str] | None:
        with reported("the configuration of brokers and topics"):
            try:
                entries = self._wait(future)
            except KafkaException as raised:
                if raised.args[0].code() in _FORBIDDEN:
                    return None
                raise
        return {key: entry.value for key, entry in entries.items()}

    def _answer(self, ask: "Callable[[], Future[T]]") -> T:
        """Asked for again while a coordinator or leader comes up."""
        again = Retrying(
            retry=retry_if_exception(passes),
            stop=stop_after_delay(self._within_s),
            wait=wait_fixed(_WAIT_S),
            reraise=True,
        )
        try:
            with reported(f"{self._settings.kafka.bootstrap_servers} (kafka.bootstrap_servers)"):
                return again(lambda: self._wait(ask()))
        except DependencyDownError:
            self._admin.poll(0)
            if (cause := next((one for one in self._told if one.code() in CAUSES), None)) is None:
                raise
            raise away(self._settings.kafka.bootstrap_servers, describe(cause)) from None

    def _wait(self, future: "Future[T]") -> T:
        try:
            return future.result(self._within_s + _MARGIN_S)
        except TimeoutError:
            raise away(self._settings.kafka.bootstrap_servers, f"no answer within {self._within_s:g} s") from None


def librdkafka_version() -> str:
    """Of the library that every client of ours is."""
    return libversion()[0]
