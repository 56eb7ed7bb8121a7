"""Rows to bring to a warehouse: every nullable column null and not, and a version of the schema still to come."""

import io
import json
import random
import uuid
from collections.abc import Mapping
from typing import Any

import fastavro

from streamproc.errors import PoisonError, Reason, Stage
from streamproc.records.avro import frame, schema_of
from streamproc.records.identity import segment_id
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.record import Headers
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.settings import TopicSettings

NEW = "campaign_code"
"""The column of the version to come."""
LABELS = ("angry", "happy", "neutral", "sad")
_WORDS = ("", "plain", 'it\'s; -- "quoted"', "Ünïcödé 😀", "line\nbreak\ttab", '{"a": [1, null]}', "x" * 300)

Row = Mapping[str, Any]


def next_version() -> str:
    """The text of EmotionResult with one more optional column."""
    schema = json.loads(schema_of(EmotionResult).text)
    schema["fields"].append({"name": NEW, "type": ["null", "string"], "doc": "Still to come.", "default": None})
    return json.dumps(schema)


def result_id(number: int) -> str:
    """Of the result with this number."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"result {number}"))


def make_row(number: int, edition: int, now_ms: int, *, new: bool) -> Row:
    """A row; the same number and edition give the same one. ``new`` for the version to come.

    The first two of each hundred have every nullable column null, and none.
    """
    source = random.Random(f"{number} {edition}")  # noqa: S311  # a reproducible draw
    row = _draw(next_version() if new else schema_of(EmotionResult).text, source, number)
    return row | {
        "result_id": result_id(number),
        "event_id": f"event {number}",
        "label": source.choice(LABELS) if row["label"] is not None else None,
        "produced_at": now_ms,  # which tells when it left
    }


def make_segment(number: int, edition: int) -> Row:
    """The one segment of the result with this number."""
    source = random.Random(f"segment {number} {edition}")  # noqa: S311  # a reproducible draw
    of = result_id(number)
    return {
        **_draw(schema_of(EmotionSegment).text, source, number),
        "segment_id": segment_id(of, 0),
        "result_id": of,
        "event_id": f"event {number}",
    }


def make_letter(topics: TopicSettings, number: int, now_ms: int) -> tuple[Row, Headers]:
    """The dead letter with this number: what its row has to be, and the headers that say so."""
    source = random.Random(f"letter {number}")  # noqa: S311  # a reproducible draw
    attempt = Attempt(topics.recordings, number % 7, number, 1 + number % 4, now_ms - number)
    error = PoisonError(source.choice(list(Reason)), source.choice(list(Stage)), source.choice(_WORDS))
    row = {
        "dead_topic": topics.dead_letters,
        "dead_at": now_ms,
        "origin_topic": attempt.topic,
        "origin_partition": attempt.partition,
        "origin_offset": attempt.offset,
        "attempts": attempt.attempts,
        "first_seen_ms": attempt.first_seen_ms,
        "stage": error.stage,
        "class": "poison",
        "reason": error.reason,
        "message": error.message,
    }
    return row, failure_headers(attempt, error)


class Encoder:
    """Rows to framed Avro, as one version of the schema writes them."""

    def __init__(self, text: str, schema_id: int) -> None:
        self._parsed = fastavro.parse_schema(json.loads(text))
        self._id = schema_id

    def __call__(self, row: Row) -> bytes:
        """Encode a row."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._parsed, dict(row), strict=True)
        return frame(self._id, out.getvalue())


def _draw(text: str, source: random.Random, number: int) -> dict[str, Any]:
    nulls = {0: 1.0, 1: 0.0}.get(number % 100, 0.4)
    return {field["name"]: _value(field, source, nulls) for field in json.loads(text)["fields"]}


def _value(field: Mapping[str, Any], source: random.Random, nulls: float) -> Any:
    kind = field["type"]
    if isinstance(kind, list):
        if source.random() < nulls:
            return None
        kind = kind[1]
    match kind if isinstance(kind, str) else kind["logicalType"]:
        case "string":
            return source.choice(_WORDS)
        case "int":
            return source.choice((0, 1, -1, 2**31 - 1, -(2**31), source.randrange(10**6)))
        case "long":
            return source.choice((0, 1, -1, 2**63 - 1, -(2**63), source.randrange(10**9)))
        case "double":
            return source.choice((0.0, 1.0, -1e308, 5e-324, source.random()))
        case "timestamp-millis":
            return source.choice((0, 1, -1, 253_402_300_799_999, source.randrange(2 * 10**12)))
        case other:
            raise ValueError(f"no value for {other}")
