"""Our own schemas in the registry: put there by a deploy step, looked up by every worker at its start."""

from collections.abc import Mapping

from confluent_kafka.schema_registry import Schema

from streamproc.errors import UsageError
from streamproc.kafka.registry import RefusedSchemaError, Registry, UnknownSchemaError, ask
from streamproc.records.avro import OutputCodec, Row, schema_of
from streamproc.records.topics import compatibility, row_types, subject
from streamproc.settings import TopicSettings


def register_schemas(client: Registry, topics: TopicSettings) -> Mapping[str, int]:
    """Register each topic's schema under its subject, with its compatibility rule; ids by subject.

    Doing it again changes nothing. Raises UsageError for a schema that the rule does not allow after those that are
    there, DependencyDownError.
    """
    return {subject(topic): _register(client, subject(topic), row) for topic, row in row_types(topics).items()}


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
        raise UsageError(f"the registry does not take our {row.__name__} under {name}: {error}") from None


def _look_up(client: Registry, topics: TopicSettings, topic: str) -> int:
    row, name = row_types(topics)[topic], subject(topic)
    try:
        schema_id = ask(client, lambda: client.lookup_schema(name, _registrable(row)).schema_id)
    except (UnknownSchemaError, RefusedSchemaError):
        schema_id = None
    if schema_id is None:
        raise UsageError(
            f"this version's {row.__name__} is not registered under {name}: `streamproc up` does it, once "
            "for each version"
        )
    return schema_id


def _registrable(row: type[Row]) -> Schema:
    return Schema(schema_of(row).text, "AVRO")
