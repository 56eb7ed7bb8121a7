"""What is made from the schemas: ``PYTHONPATH=. python -m tools.schemas``.

Publishes a text that was changed as the next version beside the older ones, which stay as they are, and writes
docs/schemas.md and docs/event-bytes.md.
"""

import hashlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fastavro

from streamproc.records.alert import EmotionAlert
from streamproc.records.avro import Row, encode, frame, schema_of
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.topics import compatibility, row_types, subject
from streamproc.records.trend import EmotionTrend
from streamproc.settings import TopicSettings

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "schemas" / "published"
SUMS = PUBLISHED / "SHA256SUMS"
ROWS: tuple[type[Row], ...] = (RecordingEvent, EmotionResult, EmotionSegment, LedgerEntry, EmotionTrend, EmotionAlert)
AGAIN = "<!-- Written by `PYTHONPATH=. python -m tools.schemas`; change the schemas instead. -->"

UNITS = {"_ms": "ms", "_bytes": "bytes", "_rate": "Hz", "_dbfs": "dBFS", "_count": "number", "_offset": "offset"}
"""By the end of a field's name."""
UNITS_OF = {
    **dict.fromkeys(("confidence", "margin", "negative_share", "mean_confidence", "threshold"), "0 to 1"),
    "mean_change": "-1 to 1",
    **dict.fromkeys(("labelled", "negative", "changed", "support"), "number"),
    **dict.fromkeys(("attempts", "results", "retries", "dead_letters", "micro_batch_records"), "number"),
    **dict.fromkeys(("index", "channel", "input_partition", "micro_batch"), "place"),
}

EXAMPLE_ID = 7
EXAMPLE = RecordingEvent(
    event_id="call-17-leg-1",
    recorded_at=1_767_225_600_000,
    bucket="recordings",
    object_key="2026/call-17.wav",
    size_bytes=480_044,
    call_id="call-17",
    channels="split",
    outputs=frozenset({"scores", "segments"}),
    attributes={"campaign": "spring"},
)


def published(kind: type[Row]) -> Sequence[str]:
    """The texts of every version that was ever published, the first one first."""
    texts: list[str] = []
    while (path := _path(kind, len(texts) + 1)).is_file():
        texts.append(path.read_text("utf-8"))
    return texts


def sums() -> str:
    """Digest and name of every published version, as ``sha256sum`` prints them."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(PUBLISHED)}\n"
        for path in sorted(PUBLISHED.glob("*/*.avsc"))
    )


def publish() -> None:
    """Keep each current text as a version of its own, unless it is the newest one.

    Raises ValueError where a version that was published before is gone or has other bytes: its readers are out there.
    """
    there = set(sums().splitlines())
    if broken := [line for line in SUMS.read_text("utf-8").splitlines() if line not in there]:
        names = ", ".join(line.split()[1] for line in broken)
        raise ValueError(f"published versions were changed or removed: {names}. Take them back from the history")
    for kind in ROWS:
        texts = published(kind)
        if texts[-1:] != [schema_of(kind).text]:
            path = _path(kind, len(texts) + 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(schema_of(kind).text, "utf-8")
    SUMS.write_text(sums(), "utf-8")


def unit(field: dict[str, Any]) -> str:
    """What a field's number counts. Raises KeyError for a number without a unit."""
    kind = _plain(field["type"])
    if kind == "timestamp-millis":
        return "ms since the epoch, UTC"
    if kind not in {"int", "long", "double"}:
        return ""
    name = field["name"]
    if name.startswith("score_"):
        return "0 to 1"
    if name.startswith("count_"):
        return "number"
    return next((said for end, said in UNITS.items() if name.endswith(end)), "") or UNITS_OF[name]


def since(kind: type[Row], name: str) -> int:
    """The first version that has the field."""
    for number, text in enumerate(published(kind), 1):
        if any(field["name"] == name for field in json.loads(text)["fields"]):
            return number
    raise KeyError(name)


def fields_page() -> str:
    """docs/schemas.md."""
    topics = {kind: topic for topic, kind in row_types(TopicSettings()).items()}
    parts = ["# The records' fields", AGAIN, FIELDS_HEAD]
    for kind in ROWS:
        schema = json.loads(schema_of(kind).text)
        parts += [
            f"## {kind.__name__}",
            _about(kind, schema["doc"], topics[kind]),
            "\n".join(["| field | type | meaning | unit | since |", "|---|---|---|---|---|", *_rows(kind, schema)]),
        ]
    return "\n\n".join(parts) + "\n"


def bytes_page() -> str:
    """docs/event-bytes.md."""
    payload = encode(EXAMPLE)
    table = ["| at | bytes | what |", "|---|---|---|", *_pieces(payload)]
    value = frame(EXAMPLE_ID, payload)
    digest = f"{len(value)} bytes, SHA-256 `{hashlib.sha256(value).hexdigest()}`:"
    dump = "\n".join(value.hex()[at : at + 64] for at in range(0, len(value.hex()), 64))
    parts = ["# The exact bytes of one event", AGAIN, BYTES_HEAD, "\n".join(table), BYTES_WHOLE, digest]
    return "\n\n".join([*parts, f"```text\n{dump}\n```", BYTES_CHECK]) + "\n"


def _path(kind: type[Row], version: int) -> Path:
    return PUBLISHED / kind.__name__ / f"{version}.avsc"


def _plain(kind: Any) -> str:
    """A type in a word: what a nullable one is besides null, a logical type by its name."""
    if isinstance(kind, list):
        return _plain(kind[1])
    if isinstance(kind, dict):
        return str(kind.get("logicalType") or f"{kind['type']} of {kind.get('items') or kind.get('values')}")
    return str(kind)


def _about(kind: type[Row], doc: str, topic: str) -> str:
    rule, version = compatibility(kind), len(published(kind))
    return f"{doc} Topic `{topic}`, subject `{subject(topic)}`, {rule}, version {version}."


def _rows(kind: type[Row], schema: dict[str, Any]) -> Iterator[str]:
    for field in schema["fields"]:
        name, null = field["name"], "?" if isinstance(field["type"], list) else ""
        told = field["doc"].replace("|", "\\|")
        yield f"| `{name}` | {_plain(field['type'])}{null} | {told} | {unit(field)} | {since(kind, name)} |"


def _pieces(payload: bytes) -> Iterator[str]:
    """A row for the frame's two parts and for each field, with its bytes."""
    yield "| 0 | `00` | Confluent's mark |"
    yield f"| 1 | `{EXAMPLE_ID.to_bytes(4, 'big').hex()}` | the schema's id, here {EXAMPLE_ID}, big-endian |"
    schema, at = schema_of(RecordingEvent), 0
    # Field by field: a value of a record is the values of its fields, one behind the other.
    values: Any = fastavro.schemaless_reader(io.BytesIO(payload), schema.parsed, None)
    for field in json.loads(schema.text)["fields"]:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(field["type"]), values[field["name"]])
        piece = out.getvalue()
        if payload[at : at + len(piece)] != piece:
            raise ValueError(f"{field['name']} is not where it is expected")
        shown = json.dumps(getattr(EXAMPLE, field["name"]), default=sorted)
        yield f"| {5 + at} | `{piece.hex()}` | `{field['name']}` = {shown} |"
        at += len(piece)
    if at != len(payload):
        raise ValueError("the fields are not the whole payload")


FIELDS_HEAD = """\
A type with `?` may be null. `since` is the version of the schema that had the field first; every version stays in
[schemas/published](../schemas/published), under the digests of its `SHA256SUMS`, and a test reads rows of each with
each other. Outputs are FULL_TRANSITIVE: readers of any age read rows of any age, so a field is added with a default or
not at all. The input is BACKWARD_TRANSITIVE: a worker reads every event that was ever written.

Versions on this page count the texts that were published here. A registry counts what was registered with it, from 1
on: `streamproc schemas check` shows its numbers, which are others.

`streamproc schemas push` registers these texts, byte for byte, and `streamproc schemas check` tells what a registry
has, and by which rule it judges what comes next. Programs only look them up: a worker whose results, segments or
ledger, a producer whose event, or an analytics app whose trends or alerts are not registered ends with exit code 2."""

BYTES_HEAD = """\
For producers in languages whose Avro library is not tested here: encode this event by
[RecordingEvent.avsc](../schemas/RecordingEvent.avsc) and compare. Numbers are Avro's: zigzag, then seven bits a byte,
the lowest first. A string is its length in bytes and UTF-8. A nullable field is `00` for null, else `02` and the value.
A list or map is a count, that many items, and `00`."""

BYTES_WHOLE = "The whole value of the record:"

BYTES_CHECK = """\
Three things differ and are right all the same: the id (yours is what your registry answered: `GET
/subjects/audio.recordings-value/versions/latest`), the order of a map's items, and a list in more than one block.

To check bytes of your own against the schema, `pip install fastavro`:

```python
import io
import sys

import fastavro

value = bytes.fromhex(sys.argv[1])
schema = fastavro.schema.load_schema("schemas/RecordingEvent.avsc")
payload = io.BytesIO(value[5:])
print(value[0] == 0, int.from_bytes(value[1:5], "big"), fastavro.schemaless_reader(payload, schema, None))
print("bytes left over:", len(payload.read()))
```

And against a worker, `pip install confluent-kafka`; of local servers the address is in `.streamproc/local.env`:

```python
import sys

from confluent_kafka import Producer


def told(error, sent):
    print(error or f"{sent.topic()}/{sent.partition()}/{sent.offset()}")


address, value = sys.argv[1:]
producer = Producer({"bootstrap.servers": address})
producer.produce("audio.recordings", bytes.fromhex(value), "call-17", on_delivery=told)
producer.flush()
```

It prints the place of the event, and `streamproc why` with that place tells what becomes of it. A result needs the
object, which is stored before: one that is missing is looked for again for some minutes, on the retry topics, and is a
dead letter, `object_missing`, only then. A value that is no event of its schema is a dead letter at once,
`avro_invalid`; one whose schema is not under `audio.recordings-value` is `schema_unknown`."""


def main() -> int:
    """Publish and write. Exit status 0, and 1 for a history that does not hold."""
    try:
        publish()
    except ValueError as error:
        sys.exit(f"error: {error}")
    for name, text in (("schemas.md", fields_page()), ("event-bytes.md", bytes_page())):
        (ROOT / "docs" / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
