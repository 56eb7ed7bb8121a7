"""Our own schemas in the registry: put there by a deploy step, looked up by every worker at its start."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka.schema_registry import Schema

from streamproc.errors import UsageError
from streamproc.kafka.registry import RefusedSchemaError, Registry, UnknownSchemaError, ask
from streamproc.records.avro import OutputCodec, Row, schema_of
from streamproc.records.topics import compatibility, row_types, subject
from streamproc.settings import TopicSettings

_LISTED = re.compile(r"list of diff types: \[(.*?)\]")


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registry has of one of our schemas."""

    subject: str
    row: str
    compatibility: str
    """The rule that this program sets."""
    schema_id: int | None
    """None where the text of this program is not registered."""
    version: int | None
    """Its number among the subject's versions."""
    rule: str | None
    """The rule that the registry has for the subject; None where it has none, and holds it to its rule for all."""
    latest: int | None = None
    """The newest version of the subject, whoever's; None where it has none."""

    @property
    def good(self) -> bool:
        """Whether text and rule are those of this program."""
        return self.schema_id is not None and self.rule == self.compatibility


def register_schemas(client: Registry, topics: TopicSettings) -> Mapping[str, int]:
    """Register each topic's schema under its subject, with its compatibility rule; ids by subject.

    Doing it again changes nothing. Raises UsageError for a schema that the rule does not allow after those that are
    there, DependencyDownError.
    """
    return {subject(topic): _register(client, subject(topic), row) for topic, row in row_types(topics).items()}


def registered_schemas(client: Registry, topics: TopicSettings) -> Sequence[Registered]:
    """What the registry has of each topic's schema; nothing is changed. Raises DependencyDownError."""
    return [_registered(client, subject(topic), row) for topic, row in row_types(topics).items()]


def rules(client: Registry, subjects: Sequence[str]) -> Mapping[str, str]:
    """The compatibility rule that each subject is held to, its own or the registry's. Raises DependencyDownError."""
    return {subject: _rule(client, subject) for subject in subjects}


def look_up_outputs(client: Registry, topics: TopicSettings) -> OutputCodec:
    """The codec that frames rows with the ids of our output schemas.

    Raises UsageError for a schema that was not registered, DependencyDownError.
    """
    return OutputCodec(
        result_schema_id=_look_up(client, topics, topics.results),
        segment_schema_id=_look_up(client, topics, topics.segments),
        ledger_schema_id=_look_up(client, topics, topics.ledger),
    )


def look_up_events(client: Registry, topics: TopicSettings) -> int:
    """The id to frame events with. Raises UsageError, DependencyDownError."""
    return _look_up(client, topics, topics.recordings)


def look_up_trends(client: Registry, topics: TopicSettings) -> tuple[int, int]:
    """The ids to frame trends and alerts with. Raises UsageError, DependencyDownError."""
    return _look_up(client, topics, topics.trends), _look_up(client, topics, topics.alerts)


def _register(client: Registry, name: str, row: type[Row]) -> int:
    # The rule goes first, so that it already judges this registration.
    ask(client, lambda: client.set_compatibility(name, compatibility(row)))
    try:
        return ask(client, lambda: client.register_schema(name, _registrable(row)))
    except RefusedSchemaError as error:
        raise UsageError(
            f"the registry does not take our {row.__name__} under {name}, after what is there, by the rule "
            f"{compatibility(row)}: {_differences(str(error))}. If another program's schema is there, one of the two "
            "needs a topic of its own"
        ) from None


def _differences(told: str) -> str:
    """Apicurio's list of differences, which it tells twice and in no order, as one in order; else what was told."""
    found = _LISTED.search(told)
    return "; ".join(sorted(found[1].split(", "))) if found else told


def _look_up(client: Registry, topics: TopicSettings, topic: str) -> int:
    name, row = subject(topic), row_types(topics)[topic]
    schema_id, _ = _find(client, name, row)
    if schema_id is None:
        raise UsageError(
            f"this version's {row.__name__} is not registered under {name}: `streamproc schemas push` does it, once "
            "for each version"
        )
    return schema_id


def _registered(client: Registry, name: str, row: type[Row]) -> Registered:
    try:
        rule = str(ask(client, lambda: client.get_compatibility(name)))
    except UnknownSchemaError:
        rule = None
    return Registered(name, row.__name__, compatibility(row), *_find(client, name, row), rule, _latest(client, name))


def _find(client: Registry, name: str, row: type[Row]) -> tuple[int | None, int | None]:
    """Id and version of our text under a subject."""
    try:
        found = ask(client, lambda: client.lookup_schema(name, _registrable(row)))
    except (UnknownSchemaError, RefusedSchemaError):
        return None, None
    return found.schema_id, found.version


def _latest(client: Registry, name: str) -> int | None:
    try:
        return max(ask(client, lambda: client.get_versions(name)), default=None)
    except UnknownSchemaError:
        return None


def _rule(client: Registry, name: str) -> str:
    try:
        return str(ask(client, lambda: client.get_compatibility(name)))
    except UnknownSchemaError:  # no rule of its own
        return str(ask(client, client.get_compatibility))


def _registrable(row: type[Row]) -> Schema:
    return Schema(schema_of(row).text, "AVRO")
