"""The quick reader of events says what the library says, whatever the bytes are."""

import io
import json
from dataclasses import replace
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamproc.errors import PoisonError
from streamproc.records.avro import decode, parse_writer, schema_of
from streamproc.records.quick_avro import QuickAvro
from streamproc.records.recording import RecordingEvent

EVENT = schema_of(RecordingEvent)
WRITER = parse_writer(EVENT.text, EVENT)
LIBRARY = replace(WRITER, quick=None)
"""The same without the quick reader."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "long": st.integers(-(2**63), 2**63 - 1),
    "array": st.lists(texts, max_size=4),
    "map": st.dictionaries(texts, texts, max_size=4),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, list):
        return st.none() | values(kind[1])
    return STRATEGIES[kind if isinstance(kind, str) else kind["type"]]


def written(fields: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, WRITER.parsed, fields)
    return out.getvalue()


fields_of_events = st.fixed_dictionaries({field["name"]: values(field["type"]) for field in WRITER.parsed["fields"]})
payloads = fields_of_events.map(written)


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """An event that was cut off, went on, or had some bytes replaced."""
    payload = draw(payloads)
    at = draw(st.integers(0, len(payload)))
    behind = draw(st.integers(at, min(len(payload), at + 12)))
    odd = st.sampled_from([b"", b"\0", b"\1", b"\2", b"\3", b"\x80", b"\x80\0", b"\xff", b"\xff" * 9 + b"\1"])
    return payload[:at] + draw(odd | st.binary(max_size=12)) + draw(st.sampled_from([payload[behind:], b""]))


def said(payload: bytes, *, quick: bool) -> object:
    """What comes of bytes: the fields with their order and types, or the refusal in its words."""
    try:
        return repr(decode(payload, WRITER if quick else LIBRARY, EVENT))
    except PoisonError as error:
        return error.reason, error.stage, error.message


def number(value: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, value)
    return out.getvalue()


def event(*, at: bytes = b"\2", key: bytes = b"\2k", outputs: bytes = b"\0", attributes: bytes = b"\0") -> bytes:
    """An event whose parts are given as bytes; all that is not given is null."""
    return b"\2e" + at + b"\2b" + key + b"\0" * 12 + outputs + attributes


@given(fields_of_events)
def test_an_event_is_read_as_the_library_reads_it(fields: dict[str, Any]) -> None:
    payload = written(fields)
    assert said(payload, quick=True) == said(payload, quick=False)
    numbers = [value for value in fields.values() if isinstance(value, int)]
    if WRITER.quick is not None and all(-(2**62) <= value < 2**62 for value in numbers):
        assert WRITER.quick.read(payload) == fields, "and nothing of it is left to the library"


@given(bent() | st.binary(max_size=300))
@example(event(at=b"\x80\0"))  # more bytes than the number needs
@example(event(at=b"\x80" * 8 + b"\0"))
@example(event(at=b"\x80" * 9 + b"\0"))
@example(event(at=b"\x80" * 30 + b"\0"))
@example(event(at=b"\xff" * 9 + b"\1"))
@example(event(key=b"\1"))  # a negative length
@example(event(key=b"\3k"))
@example(event(key=b"\2\xff"))  # no UTF-8
@example(event(key=b"\6\xed\xa0\x80"))  # a surrogate
@example(event(outputs=b"\4"))  # a branch that there is not
@example(event(outputs=b"\x80\0"))  # a branch in two bytes
@example(event(outputs=b"\2\2\2s\0"))
@example(event(outputs=b"\2\2\2s\2\2t\0"))  # two blocks
@example(event(outputs=b"\2\1\4\2s\0"))  # a block that says its size
@example(event(outputs=b"\2\1"))  # and is not there
@example(event(outputs=b"\2\2\1\0"))
@example(event(outputs=b"\2" + number(2**40)))  # more items than there are bytes
@example(event(attributes=b"\2\4\2x\2y\2x\2z\0"))  # a name twice
@example(event(attributes=b"\2\1\4\2x\2y\0"))
@example(event() + b"\0")
@example(event()[:-1])
def test_any_bytes_are_read_or_refused_as_the_library_does_it(payload: bytes) -> None:
    assert said(payload, quick=True) == said(payload, quick=False)


def test_an_event_cut_off_anywhere_is_refused_in_the_same_words() -> None:
    payload = event(key=number(200) + b"k" * 200, outputs=b"\2\2\2s\0", attributes=b"\2\2\2x\2y\0")
    assert WRITER.quick is not None
    assert WRITER.quick.read(payload) is not None
    for length in range(len(payload)):
        assert WRITER.quick.read(payload[:length]) is None
        assert said(payload[:length], quick=True) == said(payload[:length], quick=False)


def test_only_rows_of_our_own_plain_schema_are_read_here() -> None:
    kept = [field for field in json.loads(EVENT.text)["fields"] if field["name"] != "queue"]
    other = json.dumps({**json.loads(EVENT.text), "fields": kept})
    assert parse_writer(other, EVENT).quick is None


@pytest.mark.parametrize("kind", ["int", "bytes", "double", ["string", "null"], {"type": "array", "items": "long"}])
def test_a_schema_that_is_not_plain_has_no_quick_reader(kind: object) -> None:
    assert QuickAvro.of({"fields": [{"name": "x", "type": kind}]}) is None
