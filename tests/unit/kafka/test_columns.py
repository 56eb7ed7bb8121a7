"""Rows of one topic that are read together: those of our own schema, and no others."""

import json
from types import SimpleNamespace

import pytest
from confluent_kafka.schema_registry.error import SchemaRegistryError

from streamproc.demo.clips import load_manifest
from streamproc.demo.plan import build_plan
from streamproc.errors import PoisonError, Reason
from streamproc.kafka.columns import UNKNOWN_FOR_S, Columns
from streamproc.records.avro import encode, frame, schema_of
from streamproc.records.result import EmotionResult
from tests.unit.demo.made import result, sent

OWN, REORDERED = 1, 2
NAMES = ("result_id", "attempts", "input_topic", "input_partition", "input_offset")
ROW = result(sent(list(build_plan(load_manifest(), "r")))[0], produced_at=20_500, processing_ms=400)


def columns() -> Columns:
    """Of a registry that has our schema, and one with the fields in another order."""
    text = schema_of(EmotionResult).text
    fields = json.loads(text)
    texts = {OWN: text, REORDERED: json.dumps({**fields, "fields": fields["fields"][::-1]})}
    registry = SimpleNamespace(get_schema=lambda schema_id: SimpleNamespace(schema_str=texts[schema_id]))
    return Columns(registry, EmotionResult, NAMES)  # type: ignore[arg-type]  # all that is asked


def test_of_mixed_rows_ours_are_read_as_one_by_one() -> None:
    ours = frame(OWN, encode(ROW))
    values = [ours, None, frame(REORDERED, encode(ROW)), ours[:-1], ours + b"\0", b"", ours]
    table = columns().together(values)
    assert table is not None
    assert table.good.tolist() == [True, False, False, False, False, False, True]
    alone = columns().read(ours)
    numbers = {name: int(column[6]) for name, column in table.numbers.items()}
    assert numbers == {name: alone[name] for name in ("attempts", "input_partition", "input_offset")}
    assert table.equal("input_topic", alone["input_topic"].encode())[6]


@pytest.mark.parametrize("first", [None, b"junk", frame(REORDERED, encode(ROW))])
def test_a_row_that_is_not_ours_keeps_none_behind_it_from_being_read_together(first: bytes | None) -> None:
    table = columns().together([first, frame(OWN, encode(ROW))])
    assert table is not None
    assert table.good.tolist() == [False, True]
    assert columns().together([first, first]) is None


def test_an_id_that_the_registry_does_not_know_is_asked_for_once_in_a_while() -> None:
    asked, now = [], [100.0]

    def get_schema(schema_id: int) -> object:
        asked.append(schema_id)
        raise SchemaRegistryError(404, 40403, "Schema not found")

    registry = SimpleNamespace(get_schema=get_schema)
    one = Columns(registry, EmotionResult, NAMES, lambda: now[0])  # type: ignore[arg-type]  # all that is asked
    for _ in range(3):
        assert one.together([frame(9, b"x")] * 3) is None
        with pytest.raises(PoisonError, match="Schema not found") as raised:
            one.read(frame(9, b"x"))
        assert raised.value.reason is Reason.SCHEMA_UNKNOWN
    assert asked == [9]
    now[0] += UNKNOWN_FOR_S
    with pytest.raises(PoisonError):
        one.read(frame(9, b"x"))
    assert asked == [9, 9]
