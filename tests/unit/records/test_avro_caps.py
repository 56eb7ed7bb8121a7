import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import PoisonError, Reason
from streamproc.records.avro import parse_writer, schema_of
from streamproc.records.avro_caps import MAX_DEPTH, MAX_NODES, MAX_SCHEMA_BYTES, load_capped
from streamproc.records.recording import RecordingEvent

EVENT = schema_of(RecordingEvent)


def record(*types: Any, name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": t} for i, t in enumerate(types)]}


def nested(levels: int) -> dict[str, Any]:
    schema = record("int", name="R0")
    for level in range(levels):
        schema = record(schema, name=f"R{level + 1}")
    return schema


def doubling(levels: int) -> dict[str, Any]:
    """Every record holds the one before it twice, so its expansion doubles with each level."""
    schema = record("int", name="D0")
    for level in range(levels):
        schema = record(schema, f"D{level}", name=f"D{level + 1}")
    return schema


REFUSED = {
    "not json": "{",
    "not a record": '"string"',
    "too large": json.dumps(record("int") | {"doc": "x" * MAX_SCHEMA_BYTES}),
    "too deep as json": "[" * 50_000,
    "contains itself": json.dumps(record(["null", "R"])),
    "contains itself through another": json.dumps(record(record(["null", "R"], name="S"))),
    "contains itself by full name": json.dumps(record(["null", "n.R"]) | {"namespace": "n"}),
    "array of null": json.dumps(record({"type": "array", "items": "null"})),
    "array of empty record": json.dumps(record({"type": "array", "items": record(name="E")})),
    "array of empty fixed": json.dumps(record({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}})),
    "array of a name that is empty": json.dumps(record(record(name="E"), {"type": "array", "items": "E"})),
    "map of null": json.dumps(record({"type": "map", "values": "null"})),
    "too deep": json.dumps(nested(MAX_DEPTH + 1)),
    "too many fields": json.dumps(record(*["int"] * MAX_NODES)),
    "too many once expanded": json.dumps(doubling(10)),
    "undefined name": json.dumps(record("Nobody")),
    "library's own mark": json.dumps(record("Evil") | {"__fastavro_parsed__": True, "__named_schemas": {"Evil": {}}}),
    "fields are no list": json.dumps({"type": "record", "name": "R", "fields": 5}),
    "field without a name": json.dumps({"type": "record", "name": "R", "fields": [{"type": "int"}]}),
    "nameless": json.dumps({"type": "record", "fields": []}),
    "type is a number": json.dumps(record(5)),
    "kind that only the library knows": json.dumps(record({"type": "error", "name": "E", "fields": []})),
    "symbols are no strings": json.dumps(record({"type": "enum", "name": "E", "symbols": [5]})),
    "huge fixed": json.dumps(record({"type": "fixed", "name": "F", "size": 2**40})),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_a_schema_beyond_the_caps_is_poison(text: str) -> None:
    with pytest.raises(PoisonError) as caught:
        parse_writer(text, EVENT)
    assert caught.value.reason is Reason.AVRO_INVALID


def test_a_schema_inside_the_caps_is_kept_without_what_we_do_not_know() -> None:
    schema = record(
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "map", "values": ["null", "string"]},
        {"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["A"]}},
        "E",
        nested(3),
    ) | {"namespace": "n", "doc": "d", "x": 1}
    plain = load_capped(json.dumps(schema))
    assert set(plain) == {"type", "name", "fields"}
    assert plain["name"] == "n.R"
    assert [field["type"] for field in plain["fields"][:4]] == [
        "long",
        {"type": "map", "values": ["null", "string"]},
        {"type": "array", "items": {"type": "enum", "name": "n.E", "symbols": ["A"]}},
        "n.E",
    ]


json_values = st.recursive(
    st.none() | st.integers() | st.sampled_from(["int", "record", "array", "R", "null", "map", "enum", "fixed", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "fields", "items", "values", "size", "symbols", "namespace"]), inner
        )
    ),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=4))
def test_an_arbitrary_schema_is_parsed_or_poison(types: list[Any]) -> None:
    try:
        parse_writer(json.dumps(record(*types)), EVENT)
    except PoisonError as error:
        assert error.reason is Reason.AVRO_INVALID  # noqa: PT017  # a few are fine
