"""Some columns of the rows of one topic: what is not asked for is skipped, which takes a third of the time."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import fastavro

from streamproc.errors import PoisonError, Reason, Stage
from streamproc.kafka.registry import Registry, UnknownSchemaError, ask
from streamproc.records.avro import Row, Schema, WriterSchema, decode, parse_writer, schema_of, unframe


class Columns:
    """Rows of one type by the schemas that they name. Used by one thread."""

    def __init__(self, registry: Registry, kind: type[Row], names: Collection[str]) -> None:
        self._registry = registry
        self._reader = _part(schema_of(kind), names)
        self._writers: dict[int, WriterSchema] = {}

    def read(self, value: bytes | None) -> Mapping[str, Any]:
        """The columns by name. Raises PoisonError for what is no such row, DependencyDownError."""
        schema_id, payload = unframe(value or b"")
        if (writer := self._writers.get(schema_id)) is None:
            writer = self._writers[schema_id] = self._ask(schema_id)
        return decode(payload, writer, self._reader)

    def _ask(self, schema_id: int) -> WriterSchema:
        try:
            schema = ask(self._registry, lambda: self._registry.get_schema(schema_id))
        except UnknownSchemaError as error:
            raise PoisonError(Reason.SCHEMA_UNKNOWN, Stage.ADMIT, str(error)) from None
        return parse_writer(str(schema.schema_str), self._reader)


def _part(schema: Schema, names: Collection[str]) -> Schema:
    """A schema with only these fields: Avro skips what a reader does not have."""
    fields = json.loads(schema.text)
    text = json.dumps({**fields, "fields": [field for field in fields["fields"] if field["name"] in names]})
    return Schema(schema.name, text, fastavro.parse_schema(json.loads(text)))
