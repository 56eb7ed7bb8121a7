"""Results to bring to a warehouse: every nullable column null and not, and a version of the schema still to come."""

import io
import json
import random
import uuid
from collections.abc import Mapping
from typing import Any

import fastavro

from streamproc.records.avro import frame, schema_of
from streamproc.records.result import EmotionResult

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
    nulls = {0: 1.0, 1: 0.0}.get(number % 100, 0.4)
    fields = json.loads(next_version() if new else schema_of(EmotionResult).text)["fields"]
    row = {field["name"]: _value(field, source, nulls) for field in fields}
    return row | {
        "result_id": result_id(number),
        "event_id": f"event {number}",
        "label": source.choice(LABELS) if row["label"] is not None else None,
        "produced_at": now_ms,  # which tells when it left
    }


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
