"""Caps on a schema that somebody else wrote, checked before the Avro library sees it.

Measured on fastavro: a recursive schema of 200 kB ends the interpreter with SIGSEGV, and five bytes decode into
20 million items when the items of an array take no bytes. So a writer's schema is walked here first, with every name
expanded where it is used: nothing nests deeper, and nothing is larger, than the caps allow. What is handed on is
written anew from what the walk understood, so a key that the library reads and this walk does not cannot slip through
(fastavro trusts ``__fastavro_parsed__`` in a schema).
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from streamproc.errors import PoisonError, Reason, Stage

MAX_SCHEMA_BYTES = 64 * 1024
MAX_DEPTH = 16
"""Of types inside types; JSON nests about twice as deep."""
MAX_NODES = 1024
"""Types and fields of the expanded schema: a name used ten times counts ten times."""

_MIN_BYTES: Mapping[str, int] = {
    "null": 0,
    "boolean": 1,
    "int": 1,
    "long": 1,
    "float": 4,
    "double": 8,
    "bytes": 1,
    "string": 1,
}


def load_capped(text: str) -> dict[str, Any]:
    """Read a writer's schema. Raises PoisonError(avro_invalid) when it is not a record schema inside the caps.

    What is returned has no logical types: values then arrive as the plain numbers that were written, and no value
    can make a date or decimal conversion fail.
    """
    if len(text) > MAX_SCHEMA_BYTES:
        raise refused(f"the writer's schema has {len(text)} characters; {MAX_SCHEMA_BYTES} are allowed")
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused(f"the writer's schema is not JSON: {error}") from None
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise refused("the writer's schema is not a record")
    plain: dict[str, Any] = _Walk().walk(schema, "", 0, frozenset()).plain
    return plain


def logical_types(schema: Mapping[str, Any]) -> dict[str, str]:
    """Logical type by name of a record's own fields, looking through ``["null", T]``."""
    found = {}
    for field in schema["fields"]:
        for branch in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if isinstance(branch, dict) and isinstance(logical := branch.get("logicalType"), str):
                found[field["name"]] = logical
    return found


def refused(message: str) -> PoisonError:
    """What a record is when its bytes, or their schema, are not what they claim to be."""
    return PoisonError(Reason.AVRO_INVALID, Stage.ADMIT, message[:512])


class _Type(NamedTuple):
    """A type as it is written anew, and how few bytes a value of it can take."""

    plain: Any
    least_bytes: int


class _Walk:
    """One pass over a schema, in which a name stands for the whole type that it names."""

    def __init__(self) -> None:
        self._named: dict[str, tuple[dict[str, Any], str]] = {}
        self._nodes = 0

    def walk(self, schema: Any, namespace: str, depth: int, inside: frozenset[str]) -> _Type:
        """Understand one type; refuses whatever is over a cap."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise refused(f"the writer's schema has over {MAX_NODES} types once its names are expanded")
        if depth > MAX_DEPTH:
            raise refused(f"the writer's schema nests deeper than {MAX_DEPTH}")
        if isinstance(schema, list):
            return _Type([self.walk(branch, namespace, depth + 1, inside).plain for branch in schema], 1)
        if isinstance(schema, str):
            return self._reference(schema, namespace, depth, inside)
        if isinstance(schema, dict):
            return self._complex(schema, namespace, depth, inside)
        raise refused("the writer's schema has something else where a type belongs")

    def _reference(self, name: str, namespace: str, depth: int, inside: frozenset[str]) -> _Type:
        if name in _MIN_BYTES:
            return _Type(name, _MIN_BYTES[name])
        full = _full_name(name, namespace)
        if full in inside:
            raise refused(f"the writer's schema contains itself: {full[:64]}")
        if full not in self._named:
            raise refused(f"the writer's schema names {full[:64]!r}, which it does not define")
        target, target_namespace = self._named[full]
        return _Type(full, self._complex(target, target_namespace, depth, inside).least_bytes)

    def _complex(self, schema: dict[str, Any], namespace: str, depth: int, inside: frozenset[str]) -> _Type:
        match schema.get("type"):
            case "record":
                return self._record(schema, namespace, depth, inside)
            case "enum" | "fixed":
                return self._leaf(schema, namespace)
            case "array":
                return _Type({"type": "array", "items": self._items(schema.get("items"), namespace, depth, inside)}, 1)
            case "map":
                return _Type({"type": "map", "values": self._items(schema.get("values"), namespace, depth, inside)}, 1)
            case str(name) if name in _MIN_BYTES:
                return _Type(name, _MIN_BYTES[name])
            case other:
                raise refused(f"the writer's schema has a type of kind {other!r}"[:128])

    def _items(self, items: Any, namespace: str, depth: int, inside: frozenset[str]) -> Any:
        item = self.walk(items, namespace, depth + 1, inside)
        if item.least_bytes == 0:
            raise refused("the writer's schema has items that take no bytes, so no bytes could be a million items")
        return item.plain

    def _record(self, schema: dict[str, Any], namespace: str, depth: int, inside: frozenset[str]) -> _Type:
        full = self._define(schema, namespace)
        fields = schema.get("fields")
        if not isinstance(fields, list) or not all(
            isinstance(f, dict) and isinstance(f.get("name"), str) for f in fields
        ):
            raise refused(f"the writer's schema has a record without named fields: {full[:64]}")
        within = full.rpartition(".")[0]
        types = [self.walk(field.get("type"), within, depth + 1, inside | {full}) for field in fields]
        plain = [{"name": field["name"], "type": type_.plain} for field, type_ in zip(fields, types, strict=True)]
        return _Type({"type": "record", "name": full, "fields": plain}, sum(type_.least_bytes for type_ in types))

    def _leaf(self, schema: dict[str, Any], namespace: str) -> _Type:
        full = self._define(schema, namespace)
        if schema["type"] == "enum":
            symbols = schema.get("symbols")
            if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
                raise refused(f"the writer's schema has an enum without symbols: {full[:64]}")
            return _Type({"type": "enum", "name": full, "symbols": symbols}, 1)
        size = schema.get("size")
        if type(size) is not int or not 0 <= size <= MAX_SCHEMA_BYTES:
            raise refused(f"the writer's schema has a fixed without a fit size: {full[:64]}")
        return _Type({"type": "fixed", "name": full, "size": size}, size)

    def _define(self, schema: dict[str, Any], namespace: str) -> str:
        name, space = schema.get("name"), schema.get("namespace", namespace)
        if not isinstance(name, str) or not isinstance(space, str):
            raise refused("the writer's schema has a type without a name")
        full = _full_name(name, space)
        self._named[full] = (schema, namespace)
        return full


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
