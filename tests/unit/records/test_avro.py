import dataclasses
import json
import struct
from functools import partial
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import PoisonError, Reason
from streamproc.records.alert import EmotionAlert
from streamproc.records.avro import (
    MAX_ROW_BYTES,
    OutputCodec,
    Row,
    decode,
    encode,
    frame,
    parse_writer,
    schema_of,
    unframe,
)
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import MOST_TAG, RecordingEvent, event_from_avro
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.trend import EmotionTrend

ROWS: tuple[type[Row], ...] = (
    RecordingEvent,
    EmotionResult,
    EmotionSegment,
    LedgerEntry,
    EmotionTrend,
    EmotionAlert,
)
EVENT = schema_of(RecordingEvent)
WRITER = parse_writer(EVENT.text, EVENT)

text = st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
whole = st.integers(min_value=0, max_value=2**31 - 1)
events = st.builds(
    partial(RecordingEvent),  # itself, it would be filled where nothing is said
    event_id=text.filter(bool),
    recorded_at=whole,
    bucket=text,
    object_key=text,
    version_id=st.none() | text,
    size_bytes=st.none() | whole,
    channels=st.sampled_from(["mix", "split"]),
    outputs=st.sets(st.sampled_from(["scores", "segments"]), min_size=1).map(frozenset),
    attributes=st.dictionaries(text, text, max_size=4),
)
entries = st.builds(
    LedgerEntry,
    **{
        f.name: text if f.type is str else whole
        for f in dataclasses.fields(LedgerEntry)  # str and int are its only types
    },
)


def event_bytes() -> bytes:
    return encode(RecordingEvent(event_id="e", recorded_at=1, bucket="b", object_key="k"))


def poison(call: Any, *args: Any) -> PoisonError:
    with pytest.raises(PoisonError) as caught:
        call(*args)
    assert caught.value.reason is Reason.AVRO_INVALID
    return caught.value


@pytest.mark.parametrize("kind", ROWS)
def test_a_schema_has_the_fields_of_its_row_in_order_each_documented(kind: type[Row]) -> None:
    schema = json.loads(schema_of(kind).text)
    assert schema["namespace"] == "streamproc.v1"
    assert [field["name"] for field in schema["fields"]] == list(kind.__annotations__)
    assert all(field["doc"] for field in schema["fields"])


@pytest.mark.parametrize("kind", [row for row in ROWS if row is not RecordingEvent])
def test_an_output_schema_is_flat_and_every_optional_column_is_nullable_with_default_null(kind: type[Row]) -> None:
    hints = get_type_hints(kind)
    for field in json.loads(schema_of(kind).text)["fields"]:
        plain = field["type"]
        if isinstance(plain, list):
            assert plain[0] == "null", field
            assert field["default"] is None
            plain = plain[1]
        else:
            assert type(None) not in getattr(hints[field["name"]], "__args__", ()), field
        allowed = ("string", "int", "long", "double", {"type": "long", "logicalType": "timestamp-millis"})
        assert plain in allowed, field


@given(events)
def test_an_event_comes_back_as_it_went(event: RecordingEvent) -> None:
    assert event_from_avro(decode(encode(event), WRITER, EVENT)) == event


def test_what_avro_says_of_an_event_stands_under_the_same_names() -> None:
    fields = {field["name"]: f"the {field['name']}" for field in json.loads(EVENT.text)["fields"]}
    whole = {"recorded_at": 1, "size_bytes": 2, "duration_ms": 3, "attributes": {"a": "b"}, "content_sha256": "0" * 64}
    event = event_from_avro({**fields, **whole, "channels": "split", "outputs": ["segments"]})
    assert event._asdict() == {**fields, **whole, "channels": "split", "outputs": {"segments"}}


@pytest.mark.parametrize("name", ["version_id", "etag"])
def test_a_tag_that_no_store_gives_is_refused(name: str) -> None:
    fields = {"event_id": "a", "recorded_at": 1, "bucket": "b", "object_key": "k"}
    assert getattr(event_from_avro({**fields, name: "x" * MOST_TAG}), name) == "x" * MOST_TAG
    with pytest.raises(PoisonError, match=f"{name} has 1025 characters") as refused:
        event_from_avro({**fields, name: "x" * (MOST_TAG + 1)})
    assert refused.value.reason is Reason.EVENT_INVALID


@given(entries)
def test_a_ledger_entry_comes_back_as_it_went(entry: LedgerEntry) -> None:
    schema = schema_of(LedgerEntry)
    assert decode(encode(entry), parse_writer(schema.text, schema), schema) == dataclasses.asdict(entry)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_an_event_or_poison(payload: bytes) -> None:
    try:
        decode(payload, WRITER, EVENT)
    except PoisonError as error:
        assert error.reason is Reason.AVRO_INVALID  # noqa: PT017  # most inputs raise, a few decode


@given(st.data())
def test_a_damaged_event_is_an_event_or_poison(data: st.DataObject) -> None:
    payload = bytearray(event_bytes())
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(payload), WRITER, EVENT)
    except PoisonError as error:
        assert error.reason is Reason.AVRO_INVALID  # noqa: PT017  # some damage still decodes


def test_truncated_and_trailing_bytes_are_refused() -> None:
    whole = event_bytes()
    for length in range(len(whole)):
        poison(decode, whole[:length], WRITER, EVENT)
    assert "1 bytes after its end" in poison(decode, whole + b"\0", WRITER, EVENT).message


def test_a_huge_length_is_refused_without_allocating_it() -> None:
    refused = poison(decode, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", WRITER, EVENT)
    assert f"Expected {2**63 - 1} bytes, read 0" in refused.message


def test_a_string_leaves_without_nul() -> None:
    event = RecordingEvent("a\0b", 1, "b", "k\0", tenant="\0", attributes={"x\0": "\0y"})
    fields = decode(encode(event), WRITER, EVENT)
    assert (fields["event_id"], fields["object_key"], fields["tenant"]) == ("ab", "k", "")
    assert fields["attributes"] == {"x": "y"}


def test_a_value_that_its_schema_cannot_hold_is_poison() -> None:
    assert "int too large" in poison(encode, RecordingEvent("e", 2**63, "b", "k")).message
    assert "surrogates not allowed" in poison(encode, RecordingEvent("e", 1, "b", "\ud800")).message
    nothing: Any = None  # what a careless caller may pass
    assert "string on field object_key" in poison(encode, RecordingEvent("e", 1, "b", nothing)).message


def test_times_arrive_as_plain_milliseconds_whatever_their_value() -> None:
    event = RecordingEvent("e", 2**62, "b", "k")
    assert decode(encode(event), WRITER, EVENT)["recorded_at"] == 2**62


def test_an_older_writer_without_optional_fields_is_read() -> None:
    fields = ["recorded_at", "bucket", "object_key"]
    kept = [field for field in json.loads(EVENT.text)["fields"] if field["name"] in fields]
    old = json.dumps({"type": "record", "name": "RecordingEvent", "namespace": "streamproc.v1", "fields": kept})
    decoded = decode(b"\x02\x02b\x02k", parse_writer(old, EVENT), EVENT)
    assert decoded["event_id"] == ""
    assert decoded["channels"] is None
    assert decoded["recorded_at"] == 1


def test_a_writer_that_counts_time_in_other_units_is_refused() -> None:
    assert "timestamp-micros" in poison(parse_writer, EVENT.text.replace("-millis", "-micros"), EVENT).message


@given(st.integers(0, 2**32 - 1), st.binary(max_size=20))
def test_a_frame_comes_off_as_it_went_on(schema_id: int, payload: bytes) -> None:
    framed = frame(schema_id, payload)
    assert framed[:5] == b"\0" + struct.pack(">I", schema_id)
    assert unframe(framed) == (schema_id, payload)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "has 0 bytes"),
        (b"\0\0\0\0", "has 4 bytes"),
        (b"\x01\0\0\0\x07xx", "begins with byte 0x01"),
        (b'{"json": true}', "begins with byte 0x7b"),
    ],
)
def test_what_is_not_framed_is_refused(value: bytes, why: str) -> None:
    assert why in poison(unframe, value).message


def test_a_row_is_framed_with_the_id_of_its_schema() -> None:
    entry = LedgerEntry("0", "t", 0, 1, 2, 1, 1, 0, "d", 5)
    assert unframe(OutputCodec(7, 8, 9).encode(entry))[0] == 9


def test_a_row_that_no_topic_would_take_is_poison() -> None:
    entry = LedgerEntry("0", "t", 0, 1, 2, 1, 1, 0, "d" * MAX_ROW_BYTES, 5)
    assert "over the" in poison(OutputCodec(7, 8, 9).encode, entry).message
