"""Rows to Avro bytes and back, and the frame that Confluent's clients put around them.

The schemas are the files beside this module, one canonical text each: a registry gives another id to the same schema
in other words, so what is registered, looked up and encoded with is that text, byte for byte.
"""

import io
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from streamproc.errors import PoisonError, Reason, Stage
from streamproc.records.alert import EmotionAlert
from streamproc.records.avro_caps import load_capped, logical_types, refused
from streamproc.records.flat_avro import FlatAvro
from streamproc.records.ledger import LedgerEntry
from streamproc.records.quick_avro import QuickAvro
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.trend import EmotionTrend

Row = RecordingEvent | EmotionResult | EmotionSegment | LedgerEntry | EmotionTrend | EmotionAlert
OutputRow = EmotionResult | EmotionSegment | LedgerEntry

MAX_ROW_BYTES = 1_000_000
"""Below Kafka's default record limit of 1 MiB by more than the key and the framing of a record take."""

_SHARED: Mapping[str, Sequence[tuple[str, str]]] = MappingProxyType(
    {
        "EmotionResult": (
            ("fingerprint", "channels_json"),
            ("bucket", "attempts"),
            ("produced_at", "input_partition"),
        ),
        "EmotionSegment": (("index", "level_dbfs"),),
    }
)
"""What rows of one analysis, of one recording, or of one moment have in common."""
_MAGIC = 0
_FRAME = struct.Struct(">bI")  # magic byte, schema id
_BAD_BYTES = (
    EOFError,
    ValueError,  # UnicodeDecodeError too
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    struct.error,
    fastavro.read.SchemaResolutionError,
)
"""What fastavro raises on bytes that are not of their schema; it has no exception of its own for it."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One of our schemas: its canonical text, and what fastavro made of it."""

    name: str
    text: str
    parsed: Any


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A schema that a producer wrote with, inside the caps."""

    parsed: Any
    same: bool
    """Whether it is the very schema that its rows are read into: then there is nothing to resolve, in half the time."""
    quick: QuickAvro | None = None
    """Reads what is as it should be, in half the time again; none where there is something to resolve."""


def schema_of(kind: type[Row]) -> Schema:
    """The schema of a row type."""
    return _load(kind.__name__)


@cache
def _load(name: str) -> Schema:
    text = resources.files("streamproc.records").joinpath("schemas", f"{name}.avsc").read_text("utf-8")
    return Schema(name, text, fastavro.parse_schema(json.loads(text)))


def encode(row: Row) -> bytes:
    """Encode a row by the schema of its type.

    U+0000 is taken out of every string: it is valid Avro, but databases behind a sink refuse it. Raises
    PoisonError(avro_invalid) for a value that its schema cannot hold.
    """
    try:
        return _general(row) if isinstance(row, RecordingEvent) else _flat(type(row).__name__).encode(row)
    except (ValueError, TypeError, OverflowError, AttributeError, struct.error) as error:
        raise PoisonError(
            Reason.AVRO_INVALID, Stage.ASSEMBLE, f"the row is no {type(row).__name__}: {error}"[:256]
        ) from None


@cache
def _flat(name: str) -> FlatAvro:
    return FlatAvro(_load(name).parsed, _SHARED.get(name, ()))


def _general(row: RecordingEvent) -> bytes:
    fields = {name: _avro_value(value) for name, value in row._asdict().items()}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema_of(type(row)).parsed, fields, strict=True)
    return out.getvalue()


def _avro_value(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {_avro_value(key): _avro_value(item) for key, item in value.items()}
    return value


def parse_writer(text: str, reader: Schema) -> WriterSchema:
    """Parse a producer's schema to read ``reader``'s rows from. Raises PoisonError(avro_invalid)."""
    plain = load_capped(text)
    theirs, ours = logical_types(json.loads(text)), logical_types(json.loads(reader.text))
    for name in theirs.keys() & ours.keys():
        if theirs[name] != ours[name]:
            raise refused(f"the writer's schema has {name} as {theirs[name][:64]!r}; it is {ours[name]}")
    try:
        same = plain == load_capped(reader.text)
        return WriterSchema(fastavro.parse_schema(plain), same, QuickAvro.of(plain) if same else None)
    except (SchemaParseException, UnknownType, ValueError, TypeError, KeyError, AttributeError) as error:
        raise refused(f"the writer's schema is not Avro: {type(error).__name__}: {error}"[:256]) from None


def decode(payload: bytes, writer: WriterSchema, reader: Schema) -> Mapping[str, Any]:
    """Decode ``payload`` as ``writer`` wrote it, into ``reader``'s fields; times are plain ms.

    Raises PoisonError(avro_invalid) for bytes that are too few, too many or not of the schema.
    """
    quick = None if writer.quick is None else writer.quick.read(payload)
    return _judge(payload, writer, reader) if quick is None else quick


def _judge(payload: bytes, writer: WriterSchema, reader: Schema) -> Mapping[str, Any]:
    """Decode by the library, which has words for what is wrong."""
    source = io.BytesIO(payload)
    try:
        fields = fastavro.schemaless_reader(source, writer.parsed, None if writer.same else reader.parsed)
    except _BAD_BYTES as error:
        said = f": {error}" if str(error) else ""  # that of a value that is too short says nothing
        raise refused(f"the value is not of its schema: {type(error).__name__}{said}"[:256]) from None
    if trailing := len(payload) - source.tell():
        raise refused(f"the value has {trailing} bytes after its end")
    if not isinstance(fields, dict):
        raise refused("the value is not a record")
    return fields


def frame(schema_id: int, payload: bytes) -> bytes:
    """Put Confluent's five bytes in front: a zero byte and the schema id."""
    return _FRAME.pack(_MAGIC, schema_id) + payload


def unframe(value: bytes) -> tuple[int, bytes]:
    """Schema id and payload of a framed value. Raises PoisonError(avro_invalid)."""
    if len(value) < _FRAME.size:
        raise refused(f"the value has {len(value)} bytes; the frame alone takes {_FRAME.size}")
    magic, schema_id = _FRAME.unpack_from(value)
    if magic != _MAGIC:
        raise refused(f"the value begins with byte {magic & 0xFF:#04x}, not with the 0x00 of a framed value")
    return schema_id, value[_FRAME.size :]


@dataclass(frozen=True, slots=True)
class OutputCodec:
    """Output rows to framed bytes, by the ids that the registry gave their schemas."""

    result_schema_id: int
    segment_schema_id: int
    ledger_schema_id: int

    def encode(self, row: OutputRow) -> bytes:
        """Encode and frame a row. Raises PoisonError(avro_invalid), also for a row that no topic would take."""
        match row:
            case EmotionResult():
                schema_id = self.result_schema_id
            case EmotionSegment():
                schema_id = self.segment_schema_id
            case LedgerEntry():
                schema_id = self.ledger_schema_id
        value = frame(schema_id, encode(row))
        if len(value) > MAX_ROW_BYTES:
            raise PoisonError(
                Reason.AVRO_INVALID,
                Stage.ASSEMBLE,
                f"a {type(row).__name__} of {len(value)} bytes is over the {MAX_ROW_BYTES} that a topic takes; "
                "the event's attributes are likely too long",
            )
        return value
