"""Why records were put aside, told by the headers and bytes that Kafka Connect was seen to leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.warehouse.aside import FOREIGN, HEADER, PutAside, put_aside
from streamproc.records.avro import frame
from streamproc.records.record import Headers, Record

CONVERTER, TRANSFORM = "VALUE_CONVERTER", "TRANSFORMATION"
CLIENT = "io.apicurio.registry.rest.client.exception"
NO_FIELD = "org.apache.kafka.connect.errors.DataException"


def told(
    value: bytes | None, stage: str, error: str, message: str | None, connector: str = "emotion-results"
) -> PutAside:
    said = {
        "topic": "emotion.results",
        "partition": "3",
        "offset": "17",
        "connector.name": connector,
        "stage": stage,
        "exception.class.name": error,
        "exception.message": message,
    }
    headers: Headers = tuple(
        (f"{HEADER}{name}", None if text is None else text.encode()) for name, text in said.items()
    )
    return put_aside(
        Record("streamproc.connect.dead", 0, 5, 1_767_268_800_000, b"k", value, (("theirs", None), *headers))
    )


@pytest.mark.parametrize(
    ("value", "stage", "error", "message", "why"),
    [
        (b"hello", CONVERTER, "java.lang.IllegalStateException", "artifactId cannot be null", "no Avro as ours is"),
        (b"", CONVERTER, "java.lang.ArrayIndexOutOfBoundsException", "Index 0 out of bounds for length 0", "empty"),
        (None, TRANSFORM, NO_FIELD, "Only Map objects supported in absence of schema", "a tombstone"),
        (
            frame(999, b"\0"),
            CONVERTER,
            f"{CLIENT}.ContentNotFoundException",
            "No content",
            "registry has no schema 999",
        ),
        (frame(4, b"\0"), CONVERTER, "java.io.UncheckedIOException", "java.io.EOFException", "not those of schema 4"),
        (frame(4, b"\0"), TRANSFORM, NO_FIELD, "Field does not exist: result_id", "it has no result_id"),
        (
            b"x",
            TRANSFORM,
            NO_FIELD,
            "Field does not exist: what streamproc says of a dead letter in its header sp-version",
            "it has no header sp-version",
        ),
        (frame(4, b"\0"), TRANSFORM, "Odd", "strange", "Connect says Odd: strange"),
        (b"x", TRANSFORM, "", None, "Connect says nothing"),
    ],
)
def test_why_is_told_by_the_record_and_not_by_the_converter(
    value: bytes | None, stage: str, error: str, message: str | None, why: str
) -> None:
    one = told(value, stage, error, message)
    assert why in one.why
    assert one.origin == "emotion.results/3/17"
    assert str(one.place) == "streamproc.connect.dead/0/5"


def test_what_was_put_aside_without_the_registry_is_to_be_read_again() -> None:
    one = told(frame(4, b"\0"), CONVERTER, f"{CLIENT}.RestClientException", None, "demo-emotion-results")
    assert "registry did not answer" in one.why
    assert one.advice == "once the registry is back: `streamproc connect reread demo-emotion-results`"
    assert told(b"hello", CONVERTER, f"{CLIENT}.RestClientException", None).advice == FOREIGN


def test_what_a_trial_put_aside_is_read_again_by_its_connector() -> None:
    one = told(frame(4, b"\0"), CONVERTER, f"{CLIENT}.RestClientException", None, "emotion-results-trial")
    assert one.advice.endswith("`streamproc connect reread emotion-results`")


@given(
    st.none() | st.binary(max_size=12),
    st.lists(
        st.tuples(st.text(max_size=40) | st.just(f"{HEADER}stage"), st.none() | st.binary(max_size=20)), max_size=5
    ),
)
def test_whatever_stands_there_is_told(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    one = put_aside(Record("dead", 0, 0, 0, None, value, tuple(headers)))
    assert one.why
    assert one.advice
