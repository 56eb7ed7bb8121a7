import io
import math
import struct
import tracemalloc
import uuid
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import PoisonError, Reason
from streamproc.records.alert import EmotionAlert
from streamproc.records.avro import Row, _flat, encode, schema_of
from streamproc.records.flat_avro import KEPT, MOST_KEPT_BYTES, FlatAvro
from streamproc.records.identity import RESULT_NAMESPACE, result_id, segment_id
from streamproc.records.ledger import LedgerEntry
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.trend import EmotionTrend

STRATEGIES = {
    "string": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
}
KINDS: list[type[Row]] = [EmotionResult, EmotionSegment, LedgerEntry, EmotionTrend, EmotionAlert]
POINT = {
    "type": "record",
    "name": "Point",
    "fields": [
        {"name": "x", "type": "int"},
        {"name": "y", "type": ["null", "double"]},
        {"name": "z", "type": "string"},
    ],
}


class Point:
    def __init__(self, x: Any = 1, y: Any = 2.0, z: Any = "z") -> None:
        self.x, self.y, self.z = x, y, z


def values(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, list):
        return st.none() | values(kind[1])
    return STRATEGIES[kind if isinstance(kind, str) else kind["type"]]


def named(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__annotations__}


def general(row: Any) -> bytes:
    """What the library makes of it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema_of(type(row)).parsed, named(row), strict=True)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_row_is_encoded_as_the_library_encodes_it(kind: type[Any], data: st.DataObject) -> None:
    row = kind(**{f["name"]: data.draw(values(f["type"])) for f in schema_of(kind).parsed["fields"]})
    assert encode(row) == general(row)
    first = {f["name"]: data.draw(values(f["type"])) for f in schema_of(kind).parsed["fields"][:1]}
    other = kind(**{**named(row), **first})
    assert encode(other) == general(other), "what is remembered of one row is not another's"


@pytest.mark.parametrize("number", [0, -1, 63, 64, -64, -65, 2**31 - 1, -(2**31)])
def test_numbers_take_as_many_bytes_as_they_need(number: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(dict(POINT)), vars(Point(number)))
    assert FlatAvro(POINT).encode(Point(number)) == out.getvalue()


@pytest.mark.parametrize("length", [0, 63, 64, 8_191, 8_192])
def test_the_length_of_a_text_takes_as_many_bytes_as_it_needs(length: int) -> None:
    kinds = {"x": "string", "y": ["null", "string"], "z": ["null", "string"]}
    schema = {"type": "record", "name": "Note", "fields": [{"name": name, "type": kinds[name]} for name in kinds]}
    note, out = Point("x" * length, "y" * length, None), io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(dict(schema)), vars(note))
    assert FlatAvro(schema).encode(note) == out.getvalue()


@pytest.mark.parametrize(
    "point",
    [
        Point(x=2**31),
        Point(x=-(2**31) - 1),
        Point(x=1.5),
        Point(x="1"),
        Point(x=None),
        Point(y="2"),
        Point(z=None),
        Point(z="\ud800"),
    ],
)
@pytest.mark.parametrize("shared", [(), (("x", "z"),)])
def test_a_value_that_its_field_cannot_hold_is_refused(point: Point, shared: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError, AttributeError)):
        FlatAvro(POINT, shared).encode(point)


def test_a_row_that_no_topic_would_take_is_poison() -> None:
    entry = LedgerEntry("0", "t", 2**31, 0, 0, 0, 0, 0, "", 0, None, None)
    with pytest.raises(PoisonError) as caught:
        encode(entry)
    assert caught.value.reason is Reason.AVRO_INVALID


@pytest.mark.parametrize(
    "kind",
    [{"type": "array", "items": "string"}, {"type": "map", "values": "int"}, "bytes", ["string", "null"], "float"],
)
def test_a_schema_that_is_not_flat_is_refused(kind: object) -> None:
    with pytest.raises(ValueError, match="not flat"):
        FlatAvro({"fields": [{"name": "x", "type": kind}]})


@pytest.mark.parametrize("shared", [[("y", "z"), ("x", "y")], [("z", "x")]])
def test_stretches_in_another_order_are_refused(shared: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="order"):
        FlatAvro(POINT, shared)


def test_what_is_remembered_is_bounded() -> None:
    flat = FlatAvro(POINT, [("x", "y")])
    for number in range(2 * KEPT):
        assert flat.encode(Point(number)) == FlatAvro(POINT).encode(Point(number))
    (_, remembered) = next((where, step) for where, step in flat._steps if hasattr(step, "cache_info"))
    assert remembered.cache_info().currsize == KEPT


def text_point(number: int, size: int) -> Point:
    return Point(number, z=f"{number:08}" + "z" * (size - 8))


@pytest.mark.parametrize("over", [False, True])
def test_what_is_long_is_encoded_and_not_remembered(over: bool) -> None:  # noqa: FBT001  # of a parametrized test
    flat, plain = FlatAvro(POINT, [("x", "z")]), FlatAvro(POINT)
    head = len(plain.encode(text_point(0, 1_000))) - 1_000
    for _ in range(2):
        point = text_point(0, MOST_KEPT_BYTES - head + over)
        assert flat.encode(point) == plain.encode(point)
    ((_, remembered),) = flat._steps
    assert remembered.cache_info().currsize == (not over)  # type: ignore[attr-defined]  # an lru_cache
    assert remembered.cache_info().hits == (not over)  # type: ignore[attr-defined]


def test_what_is_remembered_of_the_outputs_takes_no_more_memory_than_is_said() -> None:
    """The longest rows that are remembered at all, no two alike in any stretch."""
    results, segments = _flat.__wrapped__("EmotionResult"), _flat.__wrapped__("EmotionSegment")
    plain = {"string": "", "int": 0, "long": 0, "double": 0.5}
    blank: dict[type[Row], dict[str, Any]] = {
        kind: {field["name"]: plain[bare(field["type"])] for field in schema_of(kind).parsed["fields"]}
        for kind in (EmotionResult, EmotionSegment)
    }
    stretches = sum(hasattr(step, "cache_info") for flat in (results, segments) for _, step in flat._steps)
    assert stretches == 4
    rest = 200  # of a stretch, beside its longest text
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(KEPT + 10):
        a, b, c, d = (f"{letter}{number:07}" * ((MOST_KEPT_BYTES - rest) // 8) for letter in "abcd")
        long = {"channels_json": a, "object_key": b, "timeline_uri": c}
        results.encode(EmotionResult(**{**blank[EmotionResult], **long}))
        segments.encode(EmotionSegment(**{**blank[EmotionSegment], "label": d}))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    for flat in (results, segments):
        assert all(step.cache_info().currsize == KEPT for _, step in flat._steps if hasattr(step, "cache_info"))
    assert MOST_KEPT_BYTES * stretches * KEPT < taken < 3 * MOST_KEPT_BYTES * stretches * KEPT <= 26_000_000


def bare(kind: Any) -> str:
    """The type that is not null."""
    if isinstance(kind, list):
        return bare(kind[1])
    return bare(kind["type"]) if isinstance(kind, dict) else kind


def test_not_a_number_goes_through() -> None:
    value = FlatAvro(POINT).encode(Point(y=math.nan))
    assert math.isnan(struct.unpack("<d", value[2:10])[0])


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text("0123456789abcdef", max_size=32))
def test_ids_are_uuids_of_version_5(event_id: str, fingerprint: str) -> None:
    assert result_id(event_id, fingerprint) == str(uuid.uuid5(RESULT_NAMESPACE, f"{event_id}\n{fingerprint}"))
    assert segment_id(event_id, 3) == str(uuid.uuid5(RESULT_NAMESPACE, f"{event_id}\n3"))
