"""Kafka, registry, PostgreSQL and Kafka Connect: real ones, to be ended and stopped one by one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import Consumer, TopicPartition

from streamproc.kafka.admin import create_topics
from streamproc.kafka.config import client_config
from streamproc.kafka.own_schemas import register_schemas
from streamproc.kafka.registry import connect
from streamproc.local.connect import ConnectRecipe
from streamproc.local.kafka import KafkaRecipe
from streamproc.local.postgres import PostgresRecipe
from streamproc.local.registry import RegistryRecipe
from streamproc.local.server import Recipe
from streamproc.local.stack import Stack, down, up
from streamproc.local.state import State
from streamproc.local.watch import WatchRecipe
from streamproc.operate.warehouse.apply import apply_whole
from streamproc.settings import Settings, users_settings

RECIPES: Sequence[Recipe] = (KafkaRecipe(), RegistryRecipe(), PostgresRecipe(), ConnectRecipe(), WatchRecipe())
WAIT_S = 60


def unheard(_server: str, _text: str) -> None:
    """Progress that nobody watches."""


def prepare(settings: Settings) -> None:
    """Topics, schemas and connectors."""
    create_topics(settings)
    with connect(settings.registry) as registry:
        register_schemas(registry, settings.topics)
    apply_whole(settings)


@dataclass
class Servers:
    """A stack of its own in one folder."""

    stack: Stack
    settings: Settings
    """Which lead to the servers."""

    def kill(self, name: str) -> None:
        """SIGKILL a server and its children, and see it gone."""
        leader = self._process(name)
        family = [leader, *leader.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=WAIT_S)

    def start_again(self) -> None:
        """Start what was killed, at its old address. Connectors are left as they are."""
        self.stack = up(self.settings, unheard, lambda _settings: None, RECIPES)

    def dead_letters(self) -> int:
        """How many records are on the connectors' own dead-letter topic. Raises KeyError if there is no such topic."""
        consumer = Consumer({**client_config(self.settings), "group.id": "warehouse-dead"})
        try:
            dead = self.settings.topics.connect_dead_letters
            places = [TopicPartition(dead, one) for one in consumer.list_topics(timeout=WAIT_S).topics[dead].partitions]
            return sum(high - low for low, high in (consumer.get_watermark_offsets(one, WAIT_S) for one in places))
        finally:
            consumer.close()

    def restarts(self) -> int:
        """How often the watch started something again."""
        log = State(self.settings.local.state_dir).log("watch")
        return log.read_text("utf-8").count('"connector is started again"')

    def _process(self, name: str) -> psutil.Process:
        (pid,) = (server.pid for server in self.stack.servers if server.name == name)
        if pid is None:
            raise ValueError(f"{name} does not run")
        return psutil.Process(pid)


@contextmanager
def open_servers(folder: Path, partitions: int) -> Iterator[Servers]:
    """Servers that end with the block, whatever happens in it. Raises LocalError."""
    plain = Settings(local=users_settings().local.model_copy(update={"state_dir": folder}))
    settings = plain.model_copy(update={"topics": plain.topics.model_copy(update={"partitions": partitions})})
    try:
        stack = up(settings, unheard, prepare, RECIPES)
        yield Servers(stack, stack.settings)
    finally:
        down(settings, unheard)
