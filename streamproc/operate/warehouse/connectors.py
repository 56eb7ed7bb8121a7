"""The connectors, as their files say them and as the settings change them. Pure.

A file (``infra/connect/*.json``) is a whole configuration for the default names and servers on one computer; what
depends on the settings is replaced.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from streamproc.errors import UsageError
from streamproc.settings import Settings

COMPAT_API, OWN_API = "/apis/ccompat/v7", "/apis/registry/v2"
"""Apicurio's API in Confluent's words, which ``registry.url`` leads to, and its own, which its converter speaks."""
PUBLIC = "public"
"""PostgreSQL's own schema; connectors that write to another one carry its name."""
FILES = ("emotion-results", "emotion-segments", "dead-letters")
TRIAL = "-trial"
"""What is added to the name of a connector that is tried."""
CONVERTER_URL = "value.converter.apicurio.registry.url"


@dataclass(frozen=True, slots=True)
class Connector:
    """One connector: its name in Connect, and its configuration."""

    name: str
    config: Mapping[str, str]

    @property
    def asks_registry(self) -> bool:
        """Whether its tasks need the registry to begin."""
        return CONVERTER_URL in self.config


def names(settings: Settings) -> Sequence[str]:
    """What the connectors of these settings are called."""
    return list(sources(settings))


def sources(settings: Settings) -> Mapping[str, str]:
    """The topic that each connector of these settings reads, by the connector's name."""
    topics = settings.topics
    read = (topics.results, topics.segments, topics.dead_letters)
    return {_name(settings, file): topic for file, topic in zip(FILES, read, strict=True)}


def _name(settings: Settings, file: str) -> str:
    namespace = settings.warehouse.namespace
    return file if namespace == PUBLIC else f"{namespace}-{file}"


def connectors(settings: Settings) -> Sequence[Connector]:
    """Every connector, with what the settings say. Raises UsageError."""
    topics, warehouse = settings.topics, settings.warehouse
    made = []
    for file, (name, topic) in zip(FILES, sources(settings).items(), strict=True):
        config = dict(json.loads(files().joinpath(f"{file}.json").read_text("utf-8")))
        config |= {
            "topics": topic,
            "tasks.max": str(settings.connect.tasks),
            "errors.deadletterqueue.topic.name": topics.connect_dead_letters,
            "connection.url": f"jdbc:postgresql://{warehouse.address}/{warehouse.database}?sslmode={warehouse.sslmode}",
            "connection.username": warehouse.user,
            "collection.name.format": f"{warehouse.namespace}.{config['collection.name.format']}",
        }
        if CONVERTER_URL in config:
            config[CONVERTER_URL] = registry_url(settings)
        made.append(Connector(name, config))
    return made


def registry_url(settings: Settings) -> str:
    """Where the converter asks for schemas. Raises UsageError when the settings do not say it."""
    if settings.connect.registry_url is not None:
        return settings.connect.registry_url
    if settings.registry.username is not None or "@" in settings.registry.url:
        raise UsageError(
            "the registry wants a name and a password, which no connector may hold: let Connect ask it without and say "
            f"where, as in STREAMPROC_CONNECT__REGISTRY_URL=http://registry:8080{OWN_API}"
        )
    head, api, rest = settings.registry.url.partition(COMPAT_API)
    if not api or rest.strip("/"):
        raise UsageError(
            f"registry.url does not end in {COMPAT_API}, so it does not say where Apicurio's own API is, which the "
            f"converter asks. Set STREAMPROC_CONNECT__REGISTRY_URL, as in http://registry:8080{OWN_API}"
        )
    return head + OWN_API


def files() -> Traversable:
    """The folder of connectors, views and questions."""
    return resources.files("streamproc.operate.warehouse").joinpath("files")
