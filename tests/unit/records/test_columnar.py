"""Many rows at once: what is read is what reading one by one gives, and what is odd is left to that."""

import json

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.demo.clips import load_manifest
from streamproc.demo.plan import build_plan
from streamproc.errors import PoisonError
from streamproc.records.avro import Schema, decode, encode, frame, parse_writer, schema_of
from streamproc.records.columnar import Columnar, Table
from streamproc.records.result import EmotionResult
from tests.unit.demo.made import result, sent

OWN = schema_of(EmotionResult)
TEXTS, NUMBERS = ("result_id", "label", "input_topic"), ("attempts", "duration_ms", "input_partition", "input_offset")
_FIELDS = [field for field in json.loads(OWN.text)["fields"] if field["name"] in {*TEXTS, *NUMBERS}]
_TEXT = json.dumps({**json.loads(OWN.text), "fields": _FIELDS})
PART = Schema(OWN.name, _TEXT, fastavro.parse_schema(json.loads(_TEXT)))
COLUMNAR = Columnar(OWN.parsed, (*TEXTS, *NUMBERS))
HEAD = frame(7, b"")
ROW = result(sent(list(build_plan(load_manifest(), "r")))[0], produced_at=20_500, processing_ms=400)
REQUIRED = {"result_id", "event_id", "fingerprint", "input_topic", "input_partition", "input_offset"}


def values(name: str, kind: object) -> st.SearchStrategy[object]:
    """What a field may hold."""
    bare = kind[1] if isinstance(kind, list) else kind
    bare = bare["type"] if isinstance(bare, dict) else bare
    top = 2**31 - 1 if bare == "int" else 2**62 - 1
    held = {
        "string": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=150),
        "double": st.floats(0, 1),
        "int": st.integers(-top, top),
        "long": st.integers(-top, top),
    }[str(bare)]
    return held if name in REQUIRED else st.none() | held


ROWS = st.fixed_dictionaries({field["name"]: values(field["name"], field["type"]) for field in OWN.parsed["fields"]})


def one(value: bytes) -> dict[str, object] | None:
    """What a row says, read by itself; None where it is none."""
    try:
        return dict(decode(value[len(HEAD) :], parse_writer(OWN.text, PART), PART))
    except PoisonError:
        return None


def told(table: Table, row: int) -> dict[str, object]:
    """What was read of a row."""
    found: dict[str, object] = {name: int(table.numbers[name][row]) for name in NUMBERS}
    for name in TEXTS:
        first, length = int(table.texts[name].first[row]), int(table.texts[name].length[row])
        found[name] = table.data[first : first + length].tobytes().decode()
    return found


def wanted(row: dict[str, object]) -> dict[str, object]:
    return {name: row[name] for name in TEXTS} | {name: row[name] or 0 for name in NUMBERS}


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_every_row_of_the_schema_is_read_but_those_without_a_text(rows: list[dict[str, object]]) -> None:
    table = COLUMNAR.read([HEAD + encode(EmotionResult(**row)) for row in rows], HEAD)  # type: ignore[arg-type]  # made to fit
    assert table.good.tolist() == [row["label"] is not None for row in rows]
    for at, row in enumerate(rows):
        if row["label"] is not None:
            assert told(table, at) == wanted(row)


@given(st.data())
def test_of_spoilt_rows_nothing_is_read_that_reading_one_by_one_does_not_give(data: st.DataObject) -> None:
    right = HEAD + encode(ROW)
    spoilt = []
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(right)))
        spoilt.append(right[:at] + data.draw(st.binary(max_size=12)) + right[at + data.draw(st.integers(0, 12)) :])
    table = COLUMNAR.read([*spoilt, right, b""], HEAD)
    assert table.good[-2:].tolist() == [True, False]
    for row, value in enumerate(spoilt):
        if table.good[row]:
            alone = one(value)
            assert value.startswith(HEAD)
            try:
                found = told(table, row)
            except UnicodeDecodeError:  # texts are bytes here: who asks for one checks them
                assert alone is None
            else:
                assert alone is not None
                assert found == wanted(alone)


def test_a_text_is_compared_whole() -> None:
    rows = [ROW._replace(input_topic=topic) for topic in ("audio", "audio.recordings", "audio.recordinga")]
    table = COLUMNAR.read([HEAD + encode(row) for row in rows], HEAD)
    assert table.equal("input_topic", b"audio.recordings").tolist() == [False, True, False]


@pytest.mark.parametrize(
    "kind", [{"type": "array", "items": "string"}, ["string", "null"], ["null", "int", "long"], "bytes"]
)
def test_what_is_not_flat_is_refused(kind: object) -> None:
    schema = fastavro.parse_schema({"type": "record", "name": "r", "fields": [{"name": "a", "type": kind}]})
    with pytest.raises(ValueError, match="not flat"):
        Columnar(schema, ())  # type: ignore[arg-type]  # what fastavro calls a schema


def test_a_column_has_to_be_there_and_no_double() -> None:
    assert "confidence" in EmotionResult._fields
    for name in ("confidence", "nothing"):
        with pytest.raises(ValueError, match=name):
            Columnar(OWN.parsed, (name,))


def test_a_text_of_less_than_nothing_is_none_also_where_nobody_asks_for_it() -> None:
    right = HEAD + encode(ROW._replace(event_id=""))
    at = len(HEAD) + 1 + len(ROW.result_id)
    assert right[at] == 0
    wrong = right[:at] + b"\1" + right[at + 1 :]
    assert COLUMNAR.read([right, wrong], HEAD).good.tolist() == [True, False]
    assert one(wrong) is None
