"""Rows of one topic that are read together: those of our own schema, and no others."""

import json
from types import SimpleNamespace

import pytest

from streamproc.demo.clips import load_manifest
from streamproc.demo.plan import build_plan
from streamproc.kafka.columns import Columns
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
def test_behind_a_row_that_is_not_ours_nothing_is_read_together(first: bytes | None) -> None:
    assert columns().together([first, frame(OWN, encode(ROW))]) is None
